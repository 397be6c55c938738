package serve_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	cdplog "github.com/chromedp/cdproto/log"
	cdppage "github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/larderbuild/larder/testserver"
)

// browser is a tab of Chromium.
type browser struct {
	t   *testing.T
	ctx context.Context

	mu         sync.Mutex
	complaints []string // of the console, and violations of the page's policy
}

// openBrowser starts Chromium, which ends with the test.
func openBrowser(t *testing.T) *browser {
	t.Helper()
	options := slices.Concat(chromedp.DefaultExecAllocatorOptions[:], []chromedp.ExecAllocatorOption{
		chromedp.ExecPath(testserver.Chromium(t)), chromedp.UserDataDir(t.TempDir()),
		chromedp.NoSandbox, // which root can't have
		chromedp.Flag("hide-scrollbars", false),
	})
	ctx, cancel := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	b := &browser{t: t, ctx: ctx}
	if err := chromedp.Listen(ctx, b.listen); err != nil {
		t.Fatal(err)
	}
	call(b, cdppage.AddScriptToEvaluateOnNewDocument, cdppage.AddScriptToEvaluateOnNewDocumentParams{
		Source: `addEventListener('securitypolicyviolation', e => console.error('policy: ' + e.violatedDirective))`,
	})
	return b
}

// call sends the browser a command of its protocol.
func call[P, R any](b *browser, command cdp.Command[P, R], params P) {
	b.t.Helper()
	if _, err := chromedp.Call(b.ctx, command, params); err != nil {
		b.t.Fatal(err)
	}
}

// listen notes what the browser complains about, but for answers that are no success.
func (b *browser) listen(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		b.complaints = append(b.complaints, fmt.Sprintf("%+v", e.ExceptionDetails))
	case *runtime.EventConsoleAPICalled:
		for _, arg := range e.Args {
			b.complaints = append(b.complaints, string(arg.Value))
		}
	case *cdplog.EventEntryAdded:
		if e.Entry.Source != cdplog.EntrySourceNetwork {
			b.complaints = append(b.complaints, e.Entry.Text)
		}
	}
}

// complained returns what the browser has complained about.
func (b *browser) complained() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return strings.Join(b.complaints, "\n")
}

func (b *browser) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, steps...); err != nil {
		b.t.Fatal(err)
	}
}

// eval returns what an expression of JavaScript comes to, as text.
func (b *browser) eval(expression string) string {
	b.t.Helper()
	s, err := chromedp.Run(b.ctx, chromedp.Evaluate[string]("String("+expression+")"))
	if err != nil {
		b.t.Fatal(err)
	}
	return s
}

// until waits until a condition holds.
func (b *browser) until(condition string, holds func() bool) {
	b.t.Helper()
	for late := time.Now().Add(time.Minute); !holds(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(late) {
			b.t.Fatalf("%s does not come true; the page says %s", condition, b.eval("document.body.innerText"))
		}
	}
}

// waitText waits until the element with an id has a text in it.
func (b *browser) waitText(id, text string) {
	b.t.Helper()
	has := fmt.Sprintf("document.getElementById(%q).innerText.includes(%q)", id, text)
	b.until(has, func() bool { return b.eval(has) == "true" })
}

// waitComplaint waits until the browser complains about something with a text in it.
func (b *browser) waitComplaint(text string) {
	b.t.Helper()
	b.until("a complaint: "+text, func() bool { return strings.Contains(b.complained(), text) })
}

// look sets how wide the window is, in CSS pixels, and the colours, light or dark, and keeps
// a picture of the whole page.
func (b *browser) look(name, colours string, width, height int64) {
	b.t.Helper()
	b.do(chromedp.EmulateViewport(width, height))
	call(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: colours}},
	})
	picture, err := chromedp.Run(b.ctx, chromedp.FullScreenshot(100))
	if err != nil {
		b.t.Fatal(err)
	}
	file := filepath.Join(b.t.ArtifactDir(), name+".png")
	if err := os.WriteFile(file, picture, 0o600); err != nil {
		b.t.Fatal(err)
	}
	if got := b.eval("document.documentElement.scrollWidth <= document.documentElement.clientWidth"); got != "true" {
		b.t.Errorf("%s: it scrolls sideways: %s of %d", name, b.eval("document.documentElement.scrollWidth"), width)
	}
	if wide := b.eval("[...document.querySelectorAll('.scroll')].filter(e => e.scrollWidth > e.clientWidth).map(e => e.id)"); wide != "" {
		b.t.Errorf("%s: a table scrolls sideways: %s", name, wide)
	}
}

// quiet fails the test if the browser has complained.
func (b *browser) quiet() {
	b.t.Helper()
	if c := b.complained(); c != "" {
		b.t.Errorf("the browser complains:\n%s", c)
	}
}

package serve_test

import (
	"bytes"
	"crypto/md5"
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/larderbuild/larder/backend/backendtest"
	"github.com/larderbuild/larder/serve"
	"github.com/larderbuild/larder/testserver"
)

// send sends a request, as part of a test about something else.
func send(t *testing.T, method, address string, body []byte) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, address, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	sum := md5.Sum(body)
	r.Header.Set("Content-Md5", base64.StdEncoding.EncodeToString(sum[:]))
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if _, err := io.Copy(io.Discard, answer.Body); err != nil {
		t.Fatal(err)
	}
}

// attack is a key that would run a script if it became markup.
const attack = `<img src=x onerror="document.title='owned'"><b>`

// TestPage: a browser shows what the server has counted, and what it counts meanwhile, as text
// alone. When the server goes away, the page says so, and goes on when it is back.
func TestPage(t *testing.T) {
	t.Parallel()
	cfg := config(t, t.TempDir())
	s := serve.New(cfg)
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	link := testserver.Proxy(t, server.URL)
	body := noise(50_000)
	pack := "v1/main/p/ab/" + sha256Of("pack")
	backendtest.PutBytes(t, cfg.Store, pack, noise(70_000))
	for i := range 9 {
		send(t, http.MethodPut, server.URL+fmt.Sprintf("/cache/key-%d", i), body)
		send(t, http.MethodGet, server.URL+fmt.Sprintf("/cache/key-%d", i), nil)
	}
	for range 3 {
		send(t, http.MethodGet, server.URL+"/"+pack, nil)
		send(t, http.MethodGet, server.URL+"/cache/"+url.PathEscape(attack), nil)
	}
	if err := s.Survey(t.Context()); err != nil {
		t.Fatal(err)
	}

	b := openBrowser(t)
	b.do(chromedp.Navigate(link.Endpoint))
	b.waitText("state", "Live")
	for id, text := range map[string]string{
		"rate": "80.0 %", "lookups": "12 hits and 3 misses", "out": "645 KiB", "in": "439 KiB", "errors": "0",
		"stored": "Packs\t1\t68.4 KiB", "served": "larder\t100 %\t3", "kinds": "201 9", "slowest": "PUT cache/key-",
		"charts": "80.0 % of 15 lookups", "missed": "cache/" + attack,
	} {
		b.waitText(id, text)
	}
	if got := b.eval("document.querySelectorAll('img, .path *').length + document.title"); got != "080.0 % hits · larder" {
		t.Errorf("a key became markup: %s", got)
	}
	b.look("light", "light", 1280, 800)
	b.look("dark", "dark", 1280, 800)
	b.look("phone", "light", 360, 740)
	b.eval("document.querySelector('[value=day]').click()")
	b.waitText("charts", "24 h ago")

	for range 5 {
		send(t, http.MethodGet, server.URL+"/cache/key-0", nil)
	}
	b.waitText("rate", "85.0 %")
	link.Down()
	b.waitText("state", "does not answer")
	b.waitText("rate", "85.0 %")
	send(t, http.MethodGet, server.URL+"/cache/missing", nil)
	link.Heal()
	b.waitText("state", "Live")
	b.waitText("lookups", "17 hits and 4 misses")
	b.quiet()

	b.eval("document.head.append(Object.assign(document.createElement('style'), {textContent: '* { color: red }'}))")
	b.waitComplaint("policy: style-src") // else no violation would be seen
}

// TestPageToken: the page asks for a token, says what is wrong with one, and keeps a good one
// for its tab.
func TestPageToken(t *testing.T) {
	t.Parallel()
	rules, err := serve.ParseRules([]byte(`{"tokens": [{"token": "dashboard", "read": ["@metrics"]}, {"token": "build", "write": ["*"]}, {"token": "other", "write": ["main"]}]}`))
	if err != nil {
		t.Fatal(err)
	}
	cfg := config(t, t.TempDir())
	cfg.Access = serve.NewAccess(rules, slog.New(slog.DiscardHandler))
	server := httptest.NewServer(serve.New(cfg))
	t.Cleanup(server.Close)
	b := openBrowser(t)
	enter := func(token string) {
		b.do(chromedp.SendKeys(chromedp.CSS("#token"), token), chromedp.Click(chromedp.CSS("#ask button")))
	}
	b.do(chromedp.Navigate(server.URL))
	b.waitText("state", "Waiting for a token")
	b.look("token", "light", 360, 740)
	enter("wrong")
	b.waitText("why", "does not know this token")
	enter("other")
	b.waitText("why", "may not see")
	if got := b.eval("document.getElementById('main').checkVisibility()"); got != "false" {
		t.Error("it shows figures without a token")
	}
	enter("dashboard")
	b.waitText("state", "Live")
	b.waitText("requests", "0")
	if got := b.eval("document.getElementById('ask').checkVisibility()"); got != "false" {
		t.Error("it still asks for a token")
	}
	b.do(chromedp.Reload())
	b.waitText("state", "Live")
	if got := b.eval("sessionStorage.token + localStorage.length + document.cookie"); got != "dashboard0" {
		t.Errorf("kept: %s", got)
	}
	b.quiet()
}

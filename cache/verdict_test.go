package cache

import (
	"crypto/sha256"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/larderbuild/larder/backend/backendtest"
	"github.com/larderbuild/larder/localdisk"
	"github.com/larderbuild/larder/pack"
	"github.com/larderbuild/larder/protocol"
	"github.com/larderbuild/larder/session"
)

// TestVerdict shows what becomes of a use. That depends on its kind, and on what the
// manifest, another scope and the local tier have for its action.
func TestVerdict(t *testing.T) {
	action := protocol.ActionID{1}
	output := func(body string) protocol.OutputID { return sha256.Sum256([]byte(body)) }
	const body, other, large = "body", "another body", "a body that is larger than the limit"
	const module, single = "go index v2\n\x14\x00\x00\x00\x02\x00\x00\x00", "go index v2\n\x14\x00\x00\x00\x01\x00\x00\x00"
	kinds := []session.Kind{session.Found, session.Fetched, session.Made}
	for name, test := range map[string]struct {
		kinds     []session.Kind
		local     string // body in the local tier; "": none
		used      string // body that the session used; "": as in local
		named     string // body in the manifest; "": none
		yesterday bool   // when the manifest's was last used
		lent      bool
		elsewhere string // body in a scope that is only read; "": none
		sibling   string // body in a sibling's manifest; "": none
		marked    bool
		want      verdict
	}{
		"new":                                  {kinds: kinds, local: body, want: added},
		"new, an index of a module":            {kinds: kinds, local: module, want: joining},
		"found, an index of a package":         {kinds: []session.Kind{session.Found, session.Fetched}, local: single, want: leftOut},
		"made, an index of a package":          {kinds: []session.Kind{session.Made}, local: single, want: joining},
		"an index of a package, misplaced":     {kinds: []session.Kind{session.Misplaced}, local: single, named: single, want: leftOut},
		"new, too large":                       {kinds: kinds, local: large, want: leftOut},
		"new, with a secret":                   {kinds: kinds, local: body, marked: true, want: leftOut},
		"new, and gone":                        {kinds: kinds, used: body, want: leftOut},
		"new, and replaced since":              {kinds: kinds, local: other, used: body, want: leftOut},
		"named, used today":                    {kinds: kinds, local: body, named: body, want: kept},
		"named, used yesterday":                {kinds: kinds, local: body, named: body, yesterday: true, want: renewed},
		"named by another profile":             {kinds: kinds, local: body, named: body, lent: true, want: renewed},
		"named, given out lazily":              {kinds: kinds, used: body, named: body, want: kept},
		"named, replaced since in the tier":    {kinds: kinds, local: other, used: body, named: body, want: kept},
		"named with another output":            {kinds: kinds, local: body, named: other, want: added},
		"named with another output, and gone":  {kinds: kinds, used: body, named: other, want: leftOut},
		"named elsewhere":                      {kinds: kinds, local: body, elsewhere: body, want: elsewhere},
		"named elsewhere with another output":  {kinds: kinds, local: body, elsewhere: other, want: added},
		"a sibling's":                          {kinds: kinds, local: body, sibling: body, want: lent},
		"a sibling's, given out lazily":        {kinds: kinds, used: body, sibling: body, want: lent},
		"a sibling's with another output":      {kinds: kinds, local: body, sibling: other, want: added},
		"a sibling's, and named":               {kinds: kinds, local: body, named: body, sibling: body, want: kept},
		"a sibling's, and named with another":  {kinds: kinds, local: body, named: other, sibling: body, want: lent},
		"a sibling's, and elsewhere":           {kinds: kinds, local: body, elsewhere: body, sibling: body, want: elsewhere},
		"a sibling's, misplaced":               {kinds: []session.Kind{session.Misplaced}, local: body, sibling: body, want: added},
		"a sibling's, refused":                 {kinds: []session.Kind{session.Refused}, sibling: body, want: leftOut},
		"a sibling's, with a secret":           {kinds: kinds, local: body, sibling: body, marked: true, want: leftOut},
		"misplaced":                            {kinds: []session.Kind{session.Misplaced}, local: body, named: body, want: added},
		"misplaced, elsewhere":                 {kinds: []session.Kind{session.Misplaced}, local: body, elsewhere: body, want: added},
		"misplaced, and not in the tier":       {kinds: []session.Kind{session.Misplaced}, used: body, named: body, want: leftOut},
		"refused":                              {kinds: []session.Kind{session.Refused}, named: body, want: removed},
		"refused, and not in the manifest now": {kinds: []session.Kind{session.Refused}, want: leftOut},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := Config{Local: localdisk.New(t.TempDir()), MaxObject: 20, Stats: new(Stats), Log: slog.New(slog.DiscardHandler)}
			target := session.Target{Scope: "pr-1", Read: []string{"pr-1", "main"}, Profile: session.Profile{Module: "m", Name: "p"}}
			now := time.Now()
			today := pack.DayOf(now)
			old := published{Manifest: new(pack.Manifest), version: "1"}
			found := &holdings{written: old, merged: new(pack.Manifest)}
			if test.lent {
				old.version = ""
			}
			if test.named != "" {
				e := pack.Entry{Action: action, Output: output(test.named), Inline: []byte(test.named), Size: int64(len(test.named)), Used: today}
				if test.yesterday {
					e.Used--
				}
				old.Entries = append(old.Entries, e)
			}
			if test.elsewhere != "" {
				found.merged.Entries = []pack.Entry{{Action: action, Output: output(test.elsewhere)}}
				found.own = 1
			}
			if test.sibling != "" {
				e := pack.Entry{Action: action, Output: output(test.sibling), Inline: []byte(test.sibling), Size: int64(len(test.sibling))}
				found.ofSiblings = span{found.own, found.own + 1}
				found.merged.Entries = append(found.merged.Entries, e)
			}
			if test.local != "" {
				put := localdisk.Entry{Action: action, Output: output(test.local), Size: int64(len(test.local)), Time: now}
				if _, err := cfg.Local.Put(put, strings.NewReader(test.local)); err != nil {
					t.Fatal(err)
				}
			}
			l := newLibrary(newRemote(cfg, backendtest.Memory(), target), target)
			p := newPublisher(l, found, newWithheld(cfg), nil, now)
			if test.marked {
				p.marked = map[protocol.ActionID]bool{action: true}
			}
			if test.used == "" {
				test.used = test.local
			}
			for _, kind := range test.kinds {
				u := session.Use{Action: action, Output: output(test.used), Kind: kind}
				if kind == session.Refused {
					u.Output = protocol.OutputID{}
				}
				if got, _ := p.draft(old, session.Record{}).judge(u); got != test.want {
					t.Errorf("%c: verdict %d, want %d", kind, got, test.want)
				}
				d := p.draft(old, session.Record{Uses: []session.Use{u}})
				if d.needed != test.want.isNews() {
					t.Errorf("%c: the draft is needed: %v", kind, d.needed)
				}
				named := slices.ContainsFunc(d.next.Entries, func(e pack.Entry) bool { return e.Output == u.Output })
				stays := test.want == leftOut && test.used != "" && test.named == test.used
				if want := stays || slices.Contains([]verdict{kept, renewed, lent, added}, test.want); named != want {
					t.Errorf("%c: the next manifest names it: %v", kind, named)
				}
			}
		})
	}
}

// TestHistory shows which of several uses of one action counts.
func TestHistory(t *testing.T) {
	use := func(kind session.Kind, output byte, cost time.Duration) session.Use {
		return session.Use{Action: protocol.ActionID{9}, Output: protocol.OutputID{output}, Cost: cost, Kind: kind}
	}
	for name, test := range map[string]struct {
		uses []session.Use
		want session.Use
	}{
		"found twice":              {[]session.Use{use(session.Found, 1, 0), use(session.Found, 1, 5)}, use(session.Found, 1, 5)},
		"fetched, then found":      {[]session.Use{use(session.Fetched, 1, 7), use(session.Found, 1, 0)}, use(session.Fetched, 1, 7)},
		"found, then fetched":      {[]session.Use{use(session.Found, 1, 0), use(session.Fetched, 2, 7)}, use(session.Fetched, 2, 7)},
		"made, then found":         {[]session.Use{use(session.Made, 1, 7), use(session.Found, 1, 0)}, use(session.Made, 1, 7)},
		"fetched, then made":       {[]session.Use{use(session.Fetched, 1, 7), use(session.Made, 2, 3)}, use(session.Made, 2, 3)},
		"made twice":               {[]session.Use{use(session.Made, 1, 7), use(session.Made, 2, 3)}, use(session.Made, 2, 3)},
		"made, then fetched again": {[]session.Use{use(session.Made, 1, 7), use(session.Fetched, 2, 9)}, use(session.Made, 1, 9)},
	} {
		t.Run(name, func(t *testing.T) {
			var h history
			for _, u := range test.uses {
				if u.Kind == session.Made {
					h.put(u)
				} else {
					h.add(u)
				}
			}
			if got := h.all(); !slices.Equal(got, []session.Use{test.want}) {
				t.Errorf("%+v, want %+v", got, test.want)
			}
		})
	}
}

package cache_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/backend/backendtest"
	"github.com/larderbuild/larder/cache"
	"github.com/larderbuild/larder/protocol"
)

func TestWhatOneMachinePutsAnotherGets(t *testing.T) {
	store := backendtest.Memory()
	a := newMachine(t, t.TempDir(), store)
	bodies := map[string]string{"archive": strings.Repeat("object code ", 10_000), "stdout": "", "vet": "facts"}
	for name, body := range bodies {
		a.wantMiss(t, name)
		a.put(t, name, body)
	}
	original := a.wantHit(t, "archive", bodies["archive"])
	if a.Close(time.Minute) {
		t.Fatalf("something is left")
	}

	b := newMachine(t, t.TempDir(), store)
	for name, body := range bodies {
		b.wantHit(t, name, body)
		b.wantHit(t, name, body)
	}
	if e := b.wantHit(t, "archive", bodies["archive"]); !e.Time.Equal(original.Time) {
		t.Errorf("time %v, put at %v", e.Time, original.Time)
	}
	b.Close(0)

	got, want := b.stats.Summary(), cache.Summary{
		Gets: 7, LocalHits: 4, RemoteHits: 3, RemoteRequests: 3,
		RemoteBytesIn: a.stats.Summary().RemoteBytesOut,
	}
	if got.Saved <= 0 {
		t.Error("nothing saved")
	}
	want.Saved = got.Saved
	if got != want {
		t.Errorf("stats\n%+v, want\n%+v", got, want)
	}
	if _, err := os.Stat(filepath.Join(b.dir, "larder", "sessions")); err != nil {
		t.Fatal(err)
	}
	left, err := filepath.Glob(filepath.Join(b.dir, "larder", "sessions", "*"))
	if err != nil || len(left) > 0 {
		t.Errorf("sessions left: %v, %v", left, err)
	}
}

// The go command overwrites test logs under one key. The last put must be the one that
// stays, in whatever order the uploads end.
func TestLastPutWins(t *testing.T) {
	store := backendtest.Memory()
	first := make(chan struct{}) // lets the first upload through
	var puts int
	slowFirst := backendtest.Faulty(store, func(op, _ string) backendtest.Fault {
		if op == "put" {
			if puts++; puts == 1 {
				<-first
			}
		}
		return backendtest.Fault{}
	})
	a := newMachine(t, t.TempDir(), slowFirst)
	for i := range 5 {
		a.put(t, "test log", fmt.Sprint("run ", i))
		if i == 0 {
			for a.stats.Remote.Snapshot().Requests == 0 {
				time.Sleep(time.Millisecond) // until it is under way
			}
		}
	}
	close(first)
	if a.Close(time.Minute) {
		t.Fatalf("something is left")
	}
	b := newMachine(t, t.TempDir(), store)
	defer b.Close(0)
	b.wantHit(t, "test log", "run 4")
}

func TestOneRequestForAllWhoAsk(t *testing.T) {
	store := backendtest.Memory()
	a := newMachine(t, t.TempDir(), store)
	a.put(t, "archive", "object code")
	a.Close(time.Minute)

	var mu sync.Mutex
	var trace []string
	release := make(chan struct{})
	traced := backend.WithLog(backendtest.Faulty(store, func(string, string) backendtest.Fault {
		<-release
		return backendtest.Fault{}
	}), func(r backend.Record) {
		mu.Lock()
		defer mu.Unlock()
		trace = append(trace, r.String())
	})
	b := newMachine(t, t.TempDir(), traced)
	var replies sync.WaitGroup
	for range 8 {
		replies.Add(1)
		b.Get(t.Context(), actionID("archive"), func(_ protocol.Entry, err error) {
			defer replies.Done()
			if err != nil {
				t.Error(err)
			}
		})
	}
	time.Sleep(10 * time.Millisecond) // all eight may be on their way now
	close(release)
	replies.Wait()
	b.Close(0)
	id := actionID("archive").String()
	want := fmt.Sprintf("get v1/main/a/%s/%s…: ok, %d", id[:2], id[:8], a.stats.Summary().RemoteBytesOut)
	if got := strings.Join(trace, "\n"); got != want {
		t.Errorf("requests:\n%s\nwant\n%s", got, want)
	}
}

func TestWhatStaysLocal(t *testing.T) {
	large := strings.Repeat("x", 2000)
	for name, test := range map[string]struct {
		body    string
		change  func(*cache.SessionConfig)
		uploads int64
	}{
		"an archive":               {"!<arch>", func(*cache.SessionConfig) {}, 1},
		"an index of a module":     {index(2, "m"), func(*cache.SessionConfig) {}, 0},
		"an index of a package":    {index(1, "p"), func(*cache.SessionConfig) {}, 0},
		"nearly a module index":    {"go index", func(*cache.SessionConfig) {}, 1},
		"what is over the limit":   {large, func(c *cache.SessionConfig) { c.MaxObject = 1999 }, 0},
		"not what is at the limit": {large, func(c *cache.SessionConfig) { c.MaxObject = 2000 }, 1},
		"all, when told so":        {"!<arch>", func(c *cache.SessionConfig) { c.Upload = false }, 0},
		"all, without a remote":    {"!<arch>", func(c *cache.SessionConfig) { c.Store = nil }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t, t.TempDir(), backendtest.Memory(), test.change)
			m.put(t, "it", test.body)
			m.wantHit(t, "it", test.body)
			if m.Close(time.Minute) {
				t.Errorf("something is left")
			}
			if got := m.stats.Summary().Uploads; got != test.uploads {
				t.Errorf("%d uploads, want %d", got, test.uploads)
			}
		})
	}
}

// A fault of the remote makes lookups misses, and is worth one warning. What is put
// afterwards is in the local tier.
func TestFaultyRemote(t *testing.T) {
	reset := errors.New("connection reset by peer")
	for name, test := range map[string]struct {
		fault   backendtest.Fault
		corrupt bool
	}{
		"down":            {backendtest.Fault{Err: reset}, false},
		"denied":          {backendtest.Fault{Err: backend.ErrDenied}, false},
		"reset in a body": {backendtest.Fault{Break: reset}, false},
		"cut bodies":      {backendtest.Fault{Truncate: true}, true},
		"flipped bits":    {backendtest.Fault{Flip: true}, true},
		"endless bodies":  {backendtest.Fault{Endless: true}, true},
	} {
		t.Run(name, func(t *testing.T) {
			store := backendtest.Memory()
			a := newMachine(t, t.TempDir(), store)
			a.put(t, "one", "first body")
			a.put(t, "two", "second body")
			a.Close(time.Minute)

			b := newMachine(t, t.TempDir(), backendtest.Faulty(store, func(string, string) backendtest.Fault { return test.fault }))
			b.wantMiss(t, "one")
			b.wantMiss(t, "two")
			b.put(t, "one", "first body")
			b.wantHit(t, "one", "first body")
			b.Close(time.Minute)
			if got := b.warnings(); len(got) != 1 {
				t.Errorf("%d warnings: %q", len(got), got)
			}
			if got := b.stats.Summary().Corrupt; (got == 2) != test.corrupt {
				t.Errorf("%d corrupt", got)
			}
		})
	}
}

// A session gives up a remote that never answers once the budget is spent. It ends the
// lookups that wait, starts no others, and says so in one line.
func TestBudgetEndsLookups(t *testing.T) {
	m := newMachine(t, t.TempDir(), backendtest.Faulty(backendtest.Memory(), hang), func(c *cache.SessionConfig) {
		c.Budget = 20 * time.Millisecond
	})
	var waiting sync.WaitGroup
	for i := range 4 {
		waiting.Go(func() { m.wantMiss(t, fmt.Sprint(i)) })
	}
	waiting.Wait()
	asked := m.stats.Summary().RemoteRequests
	m.wantMiss(t, "later")
	if got := m.stats.Summary().RemoteRequests; got != asked {
		t.Errorf("%d requests after the budget was spent", got-asked)
	}
	m.Close(0)
	if got := m.warnings(); len(got) != 1 || !strings.Contains(got[0], "no more lookups") {
		t.Errorf("warnings: %q", got)
	}
}

// The end of the session ends the lookups under way, and nothing is said.
func TestEndOfSessionEndsLookups(t *testing.T) {
	m := newMachine(t, t.TempDir(), backendtest.Faulty(backendtest.Memory(), hang))
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(10*time.Millisecond, cancel)
	if _, _, err := m.get(ctx, "it"); !errors.Is(err, protocol.ErrMiss) {
		t.Errorf("error %v", err)
	}
	m.Close(0)
	if got := m.warnings(); len(got) != 0 {
		t.Errorf("warnings: %q", got)
	}
}

func TestCorruptObjects(t *testing.T) {
	object := func(body string) []byte {
		store := backendtest.Memory()
		m := newMachine(t, t.TempDir(), store)
		m.put(t, "it", body)
		m.Close(time.Minute)
		return read(t, store, key("it"))
	}
	good := object("the body")
	for name, bad := range map[string][]byte{
		"empty":            {},
		"not ours":         []byte("<html>404</html>"),
		"a later version":  append(append([]byte("larder\r\n"), 2), good[9:]...),
		"cut in a header":  good[:100],
		"cut in a body":    good[:len(good)-1],
		"another body":     append(bytes.Clone(good[:len(good)-8]), "The body"...),
		"something behind": append(bytes.Clone(good), 0),
	} {
		t.Run(name, func(t *testing.T) {
			store := backendtest.Memory()
			write(t, store, key("it"), bad)
			m := newMachine(t, t.TempDir(), store)
			m.wantMiss(t, "it")
			if got := m.stats.Summary().Corrupt; got != 1 {
				t.Errorf("%d corrupt objects", got)
			}
			if !bytes.Equal(read(t, store, key("it")), bad) {
				t.Error("the object was not left in place")
			}
			m.put(t, "it", "the body")
			m.Close(time.Minute)

			other := newMachine(t, t.TempDir(), store)
			defer other.Close(0)
			other.wantHit(t, "it", "the body")
		})
	}
}

// An intact entry object that lies under another action's key is a miss.
func TestObjectOfAnotherAction(t *testing.T) {
	store := backendtest.Memory()
	a := newMachine(t, t.TempDir(), store)
	a.put(t, "theirs", "their body")
	a.Close(time.Minute)
	write(t, store, key("ours"), read(t, store, key("theirs")))

	b := newMachine(t, t.TempDir(), store)
	defer b.Close(0)
	b.wantMiss(t, "ours")
}

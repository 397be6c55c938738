package cache_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/backend/backendtest"
	"github.com/larderbuild/larder/cache"
	"github.com/larderbuild/larder/localdisk"
	"github.com/larderbuild/larder/pack"
	"github.com/larderbuild/larder/protocol"
)

// archive is a body that begins as Go's compiler writes it, and is too large for
// a manifest.
func archive(name string) string { return head(name) + big(name) }

func head(name string) string {
	return "!<arch>\n" +
		"__.PKGDEF       0           0     0     644     7955      `\n" +
		"go object linux amd64 go1.26.8 X:none\n" +
		"build id \"" + name + "/content\"\n"
}

// lazy makes a session lazy. The test fails if it needs its last resorts.
func lazy(t *testing.T) func(*cache.SessionConfig) {
	return lazily(cache.Lazy{
		Rebuild: func(context.Context) error { t.Error("built again"); return nil },
		Abandon: func(err error) { t.Errorf("abandoned: %v", err) },
	})
}

func lazily(l cache.Lazy) func(*cache.SessionConfig) {
	return func(c *cache.SessionConfig) { c.Lazy = &l }
}

// compile puts archives of names, as a build from nothing would.
func compile(t *testing.T, m *machine, names ...string) {
	t.Helper()
	for _, name := range names {
		m.wantMiss(t, name)
		m.put(t, name, archive(name))
		m.put(t, name+" vet", big(name+" vet"))
		m.put(t, name+" stdout", "")
	}
}

// compiled returns a store in which a build of packages was published.
func compiled(t *testing.T) backend.Store {
	t.Helper()
	store := backendtest.Memory()
	m := newMachine(t, t.TempDir(), store, under(profile))
	compile(t, m, packages...)
	if m.Close(time.Minute) {
		t.Fatal("something is left")
	}
	return store
}

// wantLazy expects that a get of name is answered with its head and a hole.
func wantLazy(t *testing.T, m *machine, name string) protocol.Entry {
	t.Helper()
	hole := strings.Repeat("\x00", len(archive(name))-len(head(name)))
	return m.wantHit(t, name, head(name)+hole)
}

func wantWhole(t *testing.T, e protocol.Entry, name string) {
	t.Helper()
	if got, err := os.ReadFile(e.DiskPath); err != nil || string(got) != archive(name) {
		t.Errorf("%s: %d bytes that begin with %q, %v", name, len(got), got[:min(len(got), 20)], err)
	}
}

// wantNoSessions expects that no session has left anything in dir.
func wantNoSessions(t *testing.T, dir string) {
	t.Helper()
	left, err := os.ReadDir(filepath.Join(dir, "larder", "sessions"))
	if err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

// A build of which the manifest knows everything does without the bytes of archives.
func TestLazy(t *testing.T) {
	store, requests := traced(compiled(t))
	m := newMachine(t, t.TempDir(), store, under(profile), lazy(t))
	for _, name := range packages {
		e := wantLazy(t, m, name)
		if again := wantLazy(t, m, name); again != e {
			t.Errorf("%+v, then %+v", e, again)
		}
		m.wantHit(t, name+" vet", big(name+" vet"))
		m.wantHit(t, name+" stdout", "")
	}
	if m.Close(time.Minute) {
		t.Error("something is left")
	}
	wantNoSessions(t, m.dir)
	if got := requests(); len(got) != 2 {
		t.Errorf("requests:\n%s", strings.Join(got, "\n"))
	}
	s := m.stats.Summary()
	if s.Lazy != 4 || s.Filled != 0 || s.LazyBytes <= 0 || s.PrefetchHits != 16 || s.Misses != 0 || s.Saved <= 0 {
		t.Errorf("stats: %+v", s)
	}
	if _, _, err := localdisk.New(m.dir).Get(actionID("fmt")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the local tier has an archive that was not brought: %v", err)
	}

	// The next command of the job asks the remote for nothing.
	next := newMachine(t, m.dir, store, under(profile), lazy(t))
	defer next.Close(0)
	for _, name := range packages {
		wantLazy(t, next, name)
		next.wantHit(t, name+" vet", big(name+" vet"))
		next.wantHit(t, name+" stdout", "")
	}
	if got := requests(); len(got) != 2 {
		t.Errorf("requests after another command:\n%s", strings.Join(got, "\n"))
	}
}

// A miss is answered once all archives that were given out are whole. Those given out
// later are whole at once.
func TestBarrier(t *testing.T) {
	m := newMachine(t, t.TempDir(), compiled(t), under(profile), lazy(t))
	m.wantMiss(t, "an index, before any archive")
	first := wantLazy(t, m, "fmt")
	second := wantLazy(t, m, "net")
	m.wantMiss(t, "what was changed")
	wantWhole(t, first, "fmt")
	wantWhole(t, second, "net")
	m.wantHit(t, "net/http", archive("net/http"))
	m.wantHit(t, "fmt", archive("fmt"))
	if s := m.stats.Summary(); s.Lazy != 2 || s.Filled != 2 || s.LazyBytes != 0 {
		t.Errorf("stats: %+v", s)
	}
	m.put(t, "what was changed", archive("pantry 2"))
	m.Close(time.Minute)
	wantNoSessions(t, m.dir)
}

// While a lookup asks for what the manifest does not name, the archives that a compiler
// would read are on their way.
func TestAheadOfTheBarrier(t *testing.T) {
	fetched := make(chan struct{})
	var once sync.Once
	var lazily atomic.Bool // nothing else is fetched any more
	store := backendtest.Faulty(compiled(t), func(_, key string) backendtest.Fault {
		switch {
		case strings.HasPrefix(key, "v1/main/p/") && lazily.Load():
			once.Do(func() { close(fetched) })
		case strings.HasPrefix(key, "v1/main/a/"):
			select {
			case <-fetched:
			case <-time.After(time.Minute):
				t.Error("a lookup has come to nothing, and no pack is fetched yet")
			}
		}
		return backendtest.Fault{}
	})
	m := newMachine(t, t.TempDir(), store, under(profile), lazy(t))
	defer m.Close(0)
	for _, name := range packages {
		m.wantHit(t, name+" vet", big(name+" vet"))
	}
	lazily.Store(true)
	e := wantLazy(t, m, "fmt")
	m.wantMiss(t, "what was changed")
	wantWhole(t, e, "fmt")
}

// The go command builds what it refuses of a hit without another get. While a hole is
// given out, a body that it refuses is no hit.
func TestDamageBehindTheBarrier(t *testing.T) {
	for name, test := range map[string]struct {
		damaged, body string
		promised      bool
	}{
		"an archive that is promised":        {"net", archive("net"), true},
		"a log that is promised":             {"net vet", big("net vet"), true},
		"an archive that no manifest names":  {"own", archive("own"), false},
		"a log that no manifest names":       {"own vet", big("own vet"), false},
		"a short log that no manifest names": {"own stdout", "ok", false},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			alone := newMachine(t, dir, nil)
			alone.put(t, test.damaged, test.body)
			alone.put(t, "own asm", big("own asm")) // stays as it is
			alone.Close(0)
			e, path, err := localdisk.New(dir).Get(actionID(test.damaged))
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, make([]byte, e.Size), 0o644); err != nil {
				t.Fatal(err)
			}

			m := newMachine(t, dir, compiled(t), under(profile), lazy(t))
			defer m.Close(0)
			first := wantLazy(t, m, "fmt")
			m.wantHit(t, "own asm", big("own asm"))
			switch {
			case !test.promised:
				m.wantMiss(t, test.damaged)
				wantWhole(t, first, "fmt")
				return
			case strings.HasPrefix(test.body, "!<arch>"):
				second := wantLazy(t, m, test.damaged)
				m.wantMiss(t, "what was changed")
				wantWhole(t, second, test.damaged)
			default:
				m.wantHit(t, test.damaged, test.body)
			}
		})
	}
}

// A remote may lose anything after it has given the manifest. No miss is answered over a
// hole.
func TestBarrierWithoutPacks(t *testing.T) {
	remove := func(t *testing.T, store backend.Store, prefix string) {
		t.Helper()
		for object, err := range store.List(t.Context(), prefix) {
			if err != nil {
				t.Fatal(err)
			}
			if err := store.Delete(t.Context(), object.Key); err != nil {
				t.Fatal(err)
			}
		}
	}
	unavailable := errors.New("unavailable")
	for name, test := range map[string]struct {
		break_  func(*testing.T, backend.Store) backend.Store
		rebuilt bool
	}{
		"packs are gone": {func(t *testing.T, s backend.Store) backend.Store {
			remove(t, s, "v1/main/p/")
			return s
		}, false},
		"everything but the manifest is gone": {func(t *testing.T, s backend.Store) backend.Store {
			remove(t, s, "v1/main/p/")
			remove(t, s, "v1/main/a/")
			return s
		}, true},
		"reading fails": {func(t *testing.T, s backend.Store) backend.Store {
			return backendtest.Faulty(s, func(op, key string) backendtest.Fault {
				if strings.HasPrefix(key, "v1/main/m/") {
					return backendtest.Fault{}
				}
				return backendtest.Fault{Err: unavailable}
			})
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			store := test.break_(t, compiled(t))
			dir := t.TempDir()
			rebuilt := false
			m := newMachine(t, dir, store, under(profile), lazily(cache.Lazy{
				Rebuild: func(context.Context) error {
					rebuilt = true
					again := newMachine(t, dir, nil)
					compile(t, again, packages...)
					again.Close(0)
					return nil
				},
				Abandon: func(err error) { t.Errorf("abandoned: %v", err) },
			}))
			defer m.Close(0)
			e := wantLazy(t, m, "fmt")
			m.wantMiss(t, "what was changed")
			wantWhole(t, e, "fmt")
			if rebuilt != test.rebuilt {
				t.Errorf("rebuilt: %v, want %v", rebuilt, test.rebuilt)
			}
		})
	}
}

// If the bytes can be had nowhere, the go command has to end. No miss is answered any
// more.
func TestAbandon(t *testing.T) {
	inner := compiled(t)
	var broken atomic.Bool
	store := backendtest.Faulty(inner, func(_, key string) backendtest.Fault {
		if broken.Load() {
			return backendtest.Fault{Err: errors.New("unavailable")}
		}
		return backendtest.Fault{}
	})
	abandoned := make(chan error, 2)
	m := newMachine(t, t.TempDir(), store, under(profile), lazily(cache.Lazy{
		Rebuild: func(context.Context) error { return errors.New("no go command") },
		Abandon: func(err error) { abandoned <- err },
	}))
	m.wantHit(t, "fmt vet", big("fmt vet"))
	broken.Store(true)
	wantLazy(t, m, "fmt")
	ctx, cancel := context.WithCancel(t.Context())
	answers := make(chan error, 2)
	for _, name := range []string{"what was changed", "and what else"} {
		m.Get(ctx, actionID(name), func(_ protocol.Entry, err error) { answers <- err })
	}
	if err := <-abandoned; err == nil {
		t.Error("abandoned without a reason")
	}
	select {
	case err := <-answers:
		t.Errorf("answered: %v", err)
	default:
	}
	cancel() // the go command is gone
	<-answers
	<-answers
	m.Close(0)
	wantNoSessions(t, m.dir)
	if len(abandoned) > 0 {
		t.Error("abandoned again")
	}
}

// A manifest may name heads that are not those of the archives. The build ends then, and
// compiles nothing against them.
func TestForgedHead(t *testing.T) {
	store := compiled(t)
	forged := manifest(t, store, profile)
	for i := range forged.Entries {
		if e := &forged.Entries[i]; e.Head != nil {
			e.Head = []byte(strings.Replace(string(e.Head), "/content", "/another", 1))
		}
	}
	object, err := forged.Encode(pack.Place{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	write(t, store, "v1/main/m/v4/example.com%2Fpantry/linux-amd64", object)

	var reason error
	ctx, cancel := context.WithCancel(t.Context())
	m := newMachine(t, t.TempDir(), store, under(profile), lazily(cache.Lazy{
		Rebuild: func(context.Context) error { return nil },
		Abandon: func(err error) { reason = err; cancel() },
	}))
	defer m.Close(0)
	m.wantHit(t, "fmt", strings.Replace(head("fmt"), "/content", "/another", 1)+strings.Repeat("\x00", len(big("fmt"))))
	_, _, _ = m.get(ctx, "what was changed")
	if reason == nil || !strings.Contains(reason.Error(), "begin") {
		t.Errorf("abandoned: %v", reason)
	}
}

// A command that links needs the bytes each time. The manifest remembers that.
func TestEagerCommand(t *testing.T) {
	store := compiled(t)
	command := func(c *cache.SessionConfig) { c.Command, c.Links = [32]byte{1}, true }
	link := func(first string) {
		t.Helper()
		m := newMachine(t, t.TempDir(), store, under(profile), lazy(t), command)
		m.wantHit(t, "fmt", first)
		m.wantMiss(t, "link pantry") // and no put
		if m.Close(time.Minute) {
			t.Error("something is left")
		}
	}
	link(head("fmt") + strings.Repeat("\x00", len(big("fmt"))))
	if m := manifest(t, store, profile); len(m.Eager) != 1 || m.Eager[0].Command != [32]byte{1} {
		t.Fatalf("eager commands: %+v", m.Eager)
	}
	link(archive("fmt"))

	// Another command does not.
	m := newMachine(t, t.TempDir(), store, under(profile), lazy(t))
	defer m.Close(0)
	wantLazy(t, m, "fmt")
}

// The process in the background brings what a session did without.
func TestBringLater(t *testing.T) {
	for name, upload := range map[string]bool{"a writer": true, "a reader": false} {
		t.Run(name, func(t *testing.T) {
			store := compiled(t)
			m := newMachine(t, t.TempDir(), store, under(profile), lazily(cache.Lazy{}),
				func(c *cache.SessionConfig) { c.Upload, c.Linger = upload, true })
			wantLazy(t, m, "fmt")
			if !m.Close(0) {
				t.Error("nothing is left")
			}
			stats, err := flush(t.Context(), m.dir, store, func(c *cache.FlushConfig) { c.ReadOnly, c.Bring = !upload, true })
			if err != nil || stats.Summary().Uploads > 0 {
				t.Errorf("%v, %d uploads", err, stats.Summary().Uploads)
			}
			wantNoSessions(t, m.dir)
			alone := newMachine(t, m.dir, nil)
			defer alone.Close(0)
			for _, name := range packages {
				alone.wantHit(t, name, archive(name))
			}
		})
	}
}

// A lazy session with a budget of nothing asks for nothing, and says nothing.
func TestLazyWithoutBudget(t *testing.T) {
	m := newMachine(t, t.TempDir(), compiled(t), under(profile), lazy(t), func(c *cache.SessionConfig) { c.Budget = 0 })
	for _, name := range packages {
		m.wantMiss(t, name)
	}
	m.Close(0)
	if got := m.warnings(); len(got) > 0 {
		t.Errorf("warnings: %q", got)
	}
}

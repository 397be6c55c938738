package cache_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/backend/backendtest"
	"github.com/larderbuild/larder/cache"
	"github.com/larderbuild/larder/localdisk"
	"github.com/larderbuild/larder/protocol"
)

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
	unavailable := errors.New("unavailable")
	for name, test := range map[string]struct {
		break_  func(*testing.T, backend.Store) backend.Store
		rebuilt bool
	}{
		"packs break off": {func(t *testing.T, s backend.Store) backend.Store {
			var broken atomic.Int32
			return backendtest.Faulty(s, func(op, key string) backendtest.Fault {
				if strings.HasPrefix(key, "v1/main/p/") && broken.Add(1) <= 3 {
					return backendtest.Fault{Break: unavailable}
				}
				return backendtest.Fault{}
			})
		}, false},
		"packs are gone": {func(t *testing.T, s backend.Store) backend.Store {
			remove(t, s, "v1/main/p/")
			return s
		}, true},
		"packs are gone, and entry objects have the bodies": {func(t *testing.T, _ backend.Store) backend.Store {
			s := publishedLate(t)
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
			m := newMachine(t, dir, store, under(profile), rebuilding(t, dir, &rebuilt))
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

// rebuilding makes a session lazy that builds packages again, on the machine in dir, where
// bytes can't be had. It sets rebuilt then.
func rebuilding(t *testing.T, dir string, rebuilt *bool) func(*cache.SessionConfig) {
	return lazily(cache.Lazy{
		Rebuild: func(context.Context) error {
			*rebuilt = true
			again := newMachine(t, dir, nil)
			compile(t, again, packages...)
			again.Close(0)
			return nil
		},
		Abandon: func(err error) { t.Errorf("abandoned: %v", err) },
	})
}

// Where a store has packs alone, nobody asks it for entry objects.
func TestBarrierPacksOnly(t *testing.T) {
	store := compiled(t)
	remove(t, store, "v1/main/p/")
	counted := backendtest.Faulty(store, func(_, key string) backendtest.Fault {
		if strings.HasPrefix(key, "v1/main/a/") {
			t.Errorf("asked for %s", key)
		}
		return backendtest.Fault{}
	})
	dir := t.TempDir()
	var rebuilt bool
	m := newMachine(t, dir, counted, under(profile), packsOnly, rebuilding(t, dir, &rebuilt))
	defer m.Close(0)
	e := wantLazy(t, m, "fmt")
	m.wantMiss(t, "what was changed")
	wantWhole(t, e, "fmt")
}

// What a fault has kept away comes in as few requests as it would have come without.
func TestBarrierAfterAFault(t *testing.T) {
	var asked, alone atomic.Int32
	var lazily atomic.Bool // nothing but archives is fetched any more
	store := backendtest.Faulty(compiled(t), func(_, key string) backendtest.Fault {
		switch {
		case !lazily.Load():
		case strings.HasPrefix(key, "v1/main/a/"):
			alone.Add(1)
		case strings.HasPrefix(key, "v1/main/p/") && asked.Add(1) == 1:
			return backendtest.Fault{Err: errors.New("unavailable")}
		}
		return backendtest.Fault{}
	})
	m := newMachine(t, t.TempDir(), store, under(profile), lazy(t))
	defer m.Close(0)
	for _, name := range packages {
		m.wantHit(t, name+" vet", big(name+" vet"))
	}
	lazily.Store(true)
	var given []protocol.Entry
	for _, name := range packages {
		given = append(given, wantLazy(t, m, name))
	}
	m.wantMiss(t, "what was changed")
	for i, name := range packages {
		wantWhole(t, given[i], name)
	}
	if n := asked.Load(); n != 2 {
		t.Errorf("%d requests for %d archives, want 2", n, len(given))
	}
	if n := alone.Load(); n != 1 {
		t.Errorf("%d requests for entry objects, want one for what was changed", n)
	}
}

// publishedLate is compiled, but the publication comes after the uploads, since it failed at
// first. So the bodies are in entry objects, too.
func publishedLate(t *testing.T) backend.Store {
	t.Helper()
	store := backendtest.Memory()
	m := newMachine(t, t.TempDir(), backendtest.Faulty(store, func(op, key string) backendtest.Fault {
		if op == "put" && strings.Contains(key, "/m/") {
			return backendtest.Fault{Err: errors.New("internal error")}
		}
		return backendtest.Fault{}
	}), under(profile))
	compile(t, m, packages...)
	if !m.Close(time.Minute) {
		t.Fatal("nothing is left")
	}
	if _, err := flush(t.Context(), m.dir, store); err != nil {
		t.Fatal(err)
	}
	return store
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

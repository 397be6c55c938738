package cache_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/backend/backendtest"
	"github.com/larderbuild/larder/cache"
	"github.com/larderbuild/larder/localdisk"
	"github.com/larderbuild/larder/session"
)

// pair is what restore and save are told on one machine, with a GOCACHE.
type pair struct {
	cache.Config
	store  backend.Store
	target session.Target
}

func newPair(t *testing.T, dir string, store backend.Store) *pair {
	t.Helper()
	cfg := cache.Config{
		Local:     localdisk.New(dir),
		MaxObject: 1 << 30,
		Stats:     new(cache.Stats),
		Log:       slog.New(slog.DiscardHandler),
	}
	where := target
	where.Profile = profile
	return &pair{cfg, store, where}
}

// natively has a build use the cache as one without larder does: it has nothing but the
// local tier.
func (p *pair) natively(t *testing.T, build func(*machine)) {
	t.Helper()
	m := newMachine(t, p.Local.Path(), nil)
	defer m.Close(0)
	build(m)
}

func (p *pair) wantSaved(t *testing.T, want cache.Saved) {
	t.Helper()
	if got, err := cache.Save(t.Context(), p.Config, p.store, p.target); err != nil || got != want {
		t.Fatalf("saved %+v, %v; want %+v", got, err, want)
	}
}

func (p *pair) want(t *testing.T, want cache.Restored) {
	t.Helper()
	got, err := cache.Restore(t.Context(), p.Config, p.store, p.target)
	want.Bytes = got.Bytes
	if err != nil || got != want {
		t.Fatalf("restored %+v, %v; want %+v", got, err, want)
	}
}

func TestRestore(t *testing.T) {
	store := built(t)

	b := newPair(t, t.TempDir(), store)
	var planned, done atomic.Int64
	b.Progress.Planned = func(entries int, bytes int64) { planned.Add(bytes) }
	b.Progress.Done = func(bytes int64) { done.Add(bytes) }
	b.want(t, cache.Restored{Entries: 8})
	if planned.Load() == 0 || planned.Load() != done.Load() {
		t.Errorf("%d bytes announced, %d done", planned.Load(), done.Load())
	}
	// Nothing looks used. A use shows, and is gone after a second restore.
	if used, err := b.Local.UsedSince(time.Now()); err != nil || len(used) != 0 {
		t.Errorf("%d entries look used, %v", len(used), err)
	}
	b.natively(t, func(m *machine) { m.wantHit(t, "net", big("net")) })
	if used, err := b.Local.UsedSince(time.Now()); err != nil || len(used) != 1 || used[0] != actionID("net") {
		t.Errorf("used: %v, %v", used, err)
	}
	b.want(t, cache.Restored{Present: 8})
	if used, err := b.Local.UsedSince(time.Now()); err != nil || len(used) != 0 {
		t.Errorf("%d entries look used, %v", len(used), err)
	}
}

func TestRestoreFailures(t *testing.T) {
	store := backendtest.Memory()
	empty := newPair(t, t.TempDir(), store)
	empty.want(t, cache.Restored{})

	a := newMachine(t, t.TempDir(), store, under(profile))
	build(t, a, packages...)
	a.Close(time.Minute)
	broken := errors.New("internal error")

	noPacks := newPair(t, t.TempDir(), faultyAt(store, "/p/", backendtest.Fault{Err: broken}))
	noPacks.want(t, cache.Restored{Entries: 4, Failed: 4})

	down := newPair(t, t.TempDir(), faultyAt(store, "/m/", backendtest.Fault{Err: broken}))
	if got, err := cache.Restore(t.Context(), down.Config, down.store, down.target); !errors.Is(err, broken) || got != (cache.Restored{}) {
		t.Errorf("%+v, %v", got, err)
	}

	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	hung := newPair(t, t.TempDir(), faultyAt(store, "/p/", backendtest.Fault{Stall: true}))
	if got, err := cache.Restore(ctx, hung.Config, hung.store, hung.target); !errors.Is(err, context.DeadlineExceeded) || got.Failed == 0 || got.Entries+got.Failed != 8 {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestSave(t *testing.T) {
	store := backendtest.Memory()
	recorded, requests := traced(store)
	a := newPair(t, t.TempDir(), recorded)
	a.want(t, cache.Restored{})
	a.wantSaved(t, cache.Saved{})
	a.natively(t, func(m *machine) { build(t, m, packages...) })
	a.wantSaved(t, cache.Saved{Used: 8, New: 8, Published: true})
	for obj := range store.List(t.Context(), "v1/main/a/") {
		t.Errorf("saved an entry object: %s", obj.Key)
	}
	before := len(requests())
	a.wantSaved(t, cache.Saved{Used: 8})
	if again := requests()[before:]; len(again) != 0 {
		t.Errorf("to save nothing it asked:\n%s", strings.Join(again, "\n"))
	}

	// Another machine uses a part of it, and changes a package.
	b := newPair(t, t.TempDir(), recorded)
	b.want(t, cache.Restored{Entries: 8})
	b.natively(t, func(m *machine) {
		rebuild(t, m, packages[:3]...)
		build(t, m, "pantry 2")
	})
	before = len(requests())
	b.wantSaved(t, cache.Saved{Used: 8, New: 2, Published: true})
	if got := requests()[before:]; len(got) != 5 { // latest, pack, manifest, probe of conditions, latest
		t.Errorf("to save a package it asked:\n%s", strings.Join(got, "\n"))
	}
	now := manifest(t, store, profile)
	if len(now.Packs) != 2 || len(now.Entries) != 10 ||
		3*min(now.Packs[0].Size, now.Packs[1].Size) > max(now.Packs[0].Size, now.Packs[1].Size) {
		t.Errorf("%d entries in packs %+v", len(now.Entries), now.Packs)
	}

	// A helper finds what the manifest names, too.
	c := newMachine(t, t.TempDir(), store, under(profile))
	defer c.Close(0)
	rebuild(t, c, "fmt", "net", "net/http", "pantry 2", "pantry")
}

// The next save makes up for a pack that is lost.
func TestSaveRepairs(t *testing.T) {
	store := backendtest.Memory()
	a := newPair(t, t.TempDir(), store)
	a.natively(t, func(m *machine) { build(t, m, packages...) })
	a.wantSaved(t, cache.Saved{Used: 8, New: 8, Published: true})
	for obj := range store.List(t.Context(), "v1/main/p/") {
		if err := store.Delete(t.Context(), obj.Key, ""); err != nil {
			t.Fatal(err)
		}
	}
	b := newPair(t, t.TempDir(), store)
	b.want(t, cache.Restored{Entries: 4, Failed: 4})
	b.natively(t, func(m *machine) {
		for _, name := range packages {
			m.put(t, name, big(name))
		}
	})
	b.wantSaved(t, cache.Saved{Used: 4, New: 4, Published: true})
	b.wantSaved(t, cache.Saved{Used: 4})
	newPair(t, t.TempDir(), store).want(t, cache.Restored{Entries: 8})
}

// Save does not publish a body that the disk has spoiled.
func TestSaveSpoiledBodies(t *testing.T) {
	store := backendtest.Memory()
	a := newPair(t, t.TempDir(), store)
	a.natively(t, func(m *machine) { build(t, m, packages...) })
	_, path, err := a.Local.Get(actionID("net"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(strings.ToUpper(big("net"))), 0o644); err != nil {
		t.Fatal(err)
	}
	a.wantSaved(t, cache.Saved{Used: 8, New: 8, Published: true})
	newPair(t, t.TempDir(), store).want(t, cache.Restored{Entries: 7})
}

// An entry that can't be written to the disk costs the others nothing.
func TestRestoreBesideObstacles(t *testing.T) {
	store := backendtest.Memory()
	a := newPair(t, t.TempDir(), store)
	a.natively(t, func(m *machine) { build(t, m, packages...) })
	a.wantSaved(t, cache.Saved{Used: 8, New: 8, Published: true})
	_, path, err := a.Local.Get(actionID("net"))
	if err != nil {
		t.Fatal(err)
	}
	b := newPair(t, t.TempDir(), store)
	inside, err := filepath.Rel(a.Local.Path(), path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(b.Local.Path(), inside, "executable"), 0o755); err != nil {
		t.Fatal(err)
	}
	b.want(t, cache.Restored{Entries: 7, Failed: 1})
}

// faultyAt returns store with fault in the gets of keys that have part in them.
func faultyAt(store backend.Store, part string, fault backendtest.Fault) backend.Store {
	return backendtest.Faulty(store, func(op, key string) backendtest.Fault {
		if op == "get" && strings.Contains(key, part) {
			return fault
		}
		return backendtest.Fault{}
	})
}

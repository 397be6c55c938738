package cache_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/backend/backendtest"
	"github.com/larderbuild/larder/cache"
	"github.com/larderbuild/larder/localdisk"
)

// pair is what restore and save are told on one machine, with a GOCACHE.
type pair struct {
	*localdisk.Dir
	restore cache.RestoreConfig
}

func newPair(t *testing.T, dir string, store backend.Store) *pair {
	t.Helper()
	local := localdisk.New(dir)
	log := slog.New(slog.DiscardHandler)
	where := target
	where.Profile = profile
	return &pair{
		Dir:     local,
		restore: cache.RestoreConfig{Local: local, Store: store, Target: where, MaxObject: 1 << 30, Log: log},
	}
}

func (p *pair) want(t *testing.T, want cache.Restored) {
	t.Helper()
	got, err := cache.Restore(t.Context(), p.restore)
	want.Bytes = got.Bytes
	if err != nil || got != want {
		t.Fatalf("restored %+v, %v; want %+v", got, err, want)
	}
}

func TestRestore(t *testing.T) {
	store := backendtest.Memory()
	a := newMachine(t, t.TempDir(), store, under(profile))
	build(t, a, packages...)
	a.Close(time.Minute)

	b := newPair(t, t.TempDir(), store)
	var planned, done atomic.Int64
	b.restore.Planned = func(entries int, bytes int64) { planned.Add(bytes) }
	b.restore.Done = func(bytes int64) { done.Add(bytes) }
	b.want(t, cache.Restored{Entries: 8})
	if planned.Load() == 0 || planned.Load() != done.Load() {
		t.Errorf("%d bytes announced, %d done", planned.Load(), done.Load())
	}
	// Nothing looks used; what is used after all shows, and what is not does
	// not, also after a second restore.
	if used, err := b.UsedSince(time.Now()); err != nil || len(used) != 0 {
		t.Errorf("%d entries look used, %v", len(used), err)
	}
	m := newMachine(t, b.Path(), nil)
	m.wantHit(t, "net", big("net"))
	m.Close(0)
	if used, err := b.UsedSince(time.Now()); err != nil || len(used) != 1 || used[0] != actionID("net") {
		t.Errorf("used: %v, %v", used, err)
	}
	b.want(t, cache.Restored{Present: 8})
	if used, err := b.UsedSince(time.Now()); err != nil || len(used) != 0 {
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
	if got, err := cache.Restore(t.Context(), down.restore); !errors.Is(err, broken) || got != (cache.Restored{}) {
		t.Errorf("%+v, %v", got, err)
	}

	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	hung := newPair(t, t.TempDir(), faultyAt(store, "/p/", backendtest.Fault{Stall: true}))
	if got, err := cache.Restore(ctx, hung.restore); !errors.Is(err, context.DeadlineExceeded) || got.Failed == 0 || got.Entries+got.Failed != 8 {
		t.Errorf("%+v, %v", got, err)
	}
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

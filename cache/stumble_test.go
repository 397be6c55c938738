package cache_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/backend/backendtest"
	"github.com/larderbuild/larder/cache"
	"github.com/larderbuild/larder/protocol"
)

// sturdy wraps s as a session's store is wrapped, with shorter times.
func sturdy(s backend.Store, slots int) backend.Store {
	s = backend.WithBreaker(s, backend.Breaker{Faults: 5, Window: 10 * time.Second, Cooldown: 10 * time.Millisecond})
	s = backend.WithLimit(s, slots)
	return backend.WithRetry(s, backend.Retry{Backoff: 5 * time.Millisecond, MaxBackoff: 20 * time.Millisecond, Patience: time.Minute})
}

// stumbling is s, which has fault in the first n requests op for keys with one of parts in
// them.
func stumbling(s backend.Store, fault backendtest.Fault, n int64, op string, parts ...string) backend.Store {
	var left atomic.Int64
	left.Store(n)
	return backendtest.Faulty(s, func(o, key string) backendtest.Fault {
		for _, part := range parts {
			if o == op && strings.Contains(key, part) && left.Add(-1) >= 0 {
				return fault
			}
		}
		return backendtest.Fault{}
	})
}

var stumbles = map[string]error{
	"busy":   &backend.Busy{},
	"faulty": errors.New("internal error"),
}

// Uploads that meet a stumble of the store are done in the same session.
func TestUploadsOutlastAStumble(t *testing.T) {
	for name, err := range stumbles {
		t.Run(name, func(t *testing.T) {
			store := backendtest.Memory()
			a := newMachine(t, t.TempDir(), sturdy(stumbling(store, backendtest.Fault{Err: err}, 100, "put", "/a/"), 64), under(profile))
			const n = 60
			for i := range n {
				a.put(t, fmt.Sprint("p", i), big(fmt.Sprint("p", i)))
			}
			if a.Close(time.Minute) {
				t.Error("something is left")
			}
			if got := len(keys(t, store, "v1/main/a/")); got != n {
				t.Errorf("%d entry objects, want %d", got, n)
			}
			if s := a.stats.Summary(); s.UploadErrors != 0 || len(a.warnings()) != 0 {
				t.Errorf("%d errors, %q", s.UploadErrors, a.warnings())
			}
		})
	}
}

// What is promised comes in spite of a stumble, whether the store does not answer or breaks
// off.
func TestPrefetchOutlastsAStumble(t *testing.T) {
	faults := map[string]backendtest.Fault{"breaks off": {Break: errors.New("connection reset")}}
	for name, err := range stumbles {
		faults[name] = backendtest.Fault{Err: err}
	}
	for name, fault := range faults {
		t.Run(name, func(t *testing.T) {
			store := built(t)
			b := newMachine(t, t.TempDir(), sturdy(stumbling(store, fault, 12, "get", "/m/", "/p/", "/a/"), 64), under(profile))
			rebuild(t, b, packages...)
			if b.Close(time.Minute) {
				t.Error("something is left")
			}
			s := b.stats.Summary()
			if s.PrefetchHits != 8 || s.Misses != 0 || s.RemoteBytesOut != 0 || len(b.warnings()) != 0 {
				t.Errorf("%+v, %q", s, b.warnings())
			}
		})
	}
}

// What a fault keeps away for a whole session is built again, and neither uploaded nor
// packed again.
func TestUnreachedIsNotLost(t *testing.T) {
	for name, fault := range map[string]backendtest.Fault{
		"not to be had": {Err: errors.New("internal error")},
		"breaks off":    {Break: errors.New("connection reset")},
	} {
		t.Run(name, func(t *testing.T) {
			store := built(t)
			before := keys(t, store, "")
			b := newMachine(t, t.TempDir(), faultyAt(faultyAt(store, "/p/", fault), "/a/", fault), under(profile))
			missed := 0
			for _, p := range packages {
				if _, _, err := b.get(t.Context(), p); err != nil {
					b.put(t, p, big(p))
					missed++
				}
			}
			if missed == 0 {
				t.Error("nothing was kept away")
			}
			if b.Close(time.Minute) {
				t.Error("something is left")
			}
			if s := b.stats.Summary(); s.Uploads != 0 || s.RemoteBytesOut != 0 {
				t.Errorf("uploaded: %+v", s)
			}
			if after := keys(t, store, ""); len(after) != len(before) {
				t.Errorf("%d objects, and %d before", len(after), len(before))
			}
			if got := b.warnings(); len(got) != 1 {
				t.Errorf("%d warnings: %q", len(got), got)
			}
			c := newMachine(t, t.TempDir(), store, under(profile))
			defer c.Close(0)
			rebuild(t, c, packages...)
			if s := c.stats.Summary(); s.PrefetchHits != 8 {
				t.Errorf("afterwards: %+v", s)
			}
		})
	}
}

// Gets that look up several scopes at once don't wait for each other's slots.
func TestLookupsShareSlots(t *testing.T) {
	const most = 128
	store := backendtest.Memory()
	a := newMachine(t, t.TempDir(), store)
	for i := range most {
		a.put(t, fmt.Sprint("p", i), big(fmt.Sprint("p", i)))
	}
	a.Close(time.Minute)
	for _, test := range []struct {
		gets, slots int
		scopes      []string
	}{
		{96, 64, []string{"pr-1", "main"}},
		{most, 64, []string{"pr-1", "branch", "main"}},
		{20, 1, []string{"pr-1", "branch", "main"}},
	} {
		t.Run(fmt.Sprintf("%d gets of %d scopes in %d slots", test.gets, len(test.scopes), test.slots), func(t *testing.T) {
			b := newMachine(t, t.TempDir(), sturdy(backend.WithLatency(store, time.Millisecond), test.slots),
				scoped(test.scopes[0], test.scopes...), func(c *cache.SessionConfig) { c.Upload = false })
			defer b.Close(0)
			var gets sync.WaitGroup
			var hits atomic.Int64
			for i := range test.gets {
				gets.Add(1)
				b.Get(t.Context(), actionID(fmt.Sprint("p", i)), func(_ protocol.Entry, err error) {
					if err == nil {
						hits.Add(1)
					}
					gets.Done()
				})
			}
			gets.Wait()
			if got := hits.Load(); got != int64(test.gets) {
				t.Errorf("%d of %d gets hit: %s", got, test.gets, b.log)
			}
		})
	}
}

package cache_test

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/backend/backendtest"
	"github.com/larderbuild/larder/cache"
)

// A fresh machine makes two requests for a build that the manifest knows: for the
// manifest, and for the one chunk. A build without news writes nothing.
func TestWarmRemote(t *testing.T) {
	store := built(t)

	recorded, requests := traced(store)
	b := newMachine(t, t.TempDir(), recorded, under(profile))
	rebuild(t, b, packages...)
	if b.Close(time.Minute) {
		t.Fatal("something is left")
	}
	got := requests()
	if len(got) != 2 ||
		!strings.HasPrefix(got[0], "get v1/main/m/v5/example.…/linux-amd64: ok") ||
		!strings.HasPrefix(got[1], "get v1/main/p/") {
		t.Errorf("requests:\n%s", strings.Join(got, "\n"))
	}
	s := b.stats.Summary()
	if s.PrefetchHits != 8 || s.LocalHits != 0 || s.RemoteHits != 0 || s.Misses != 0 || s.Saved <= 0 {
		t.Errorf("stats: %+v", s)
	}

	// The next command of the job does without the manifest.
	c := newMachine(t, b.dir, recorded, under(profile))
	rebuild(t, c, packages...)
	c.Close(time.Minute)
	if again := requests(); len(again) != len(got) {
		t.Errorf("a second command asked:\n%s", strings.Join(again[len(got):], "\n"))
	}
}

// If packs or manifests are damaged or lost, builds find small bodies in entry objects, and
// make the others again. The next publication puts it right.
func TestDamagedPacks(t *testing.T) {
	isPack := func(key string) bool { return strings.Contains(key, "/p/") }
	isManifest := func(key string) bool { return strings.Contains(key, "/m/") }
	for name, test := range map[string]struct {
		which func(string) bool
		fault backendtest.Fault
	}{
		"packs are gone":              {isPack, backendtest.Fault{Err: backend.ErrNotFound}},
		"packs may not be read":       {isPack, backendtest.Fault{Err: backend.ErrDenied}},
		"packs are cut":               {isPack, backendtest.Fault{Truncate: true}},
		"packs have flipped bits":     {isPack, backendtest.Fault{Flip: true}},
		"manifests have flipped bits": {isManifest, backendtest.Fault{Flip: true}},
		"manifests are cut":           {isManifest, backendtest.Fault{Truncate: true}},
		"manifests can't be had":      {isManifest, backendtest.Fault{Err: errors.New("internal error")}},
	} {
		t.Run(name, func(t *testing.T) {
			store := built(t)

			faulty := backendtest.Faulty(store, func(op, key string) backendtest.Fault {
				if op == "get" && test.which(key) {
					return test.fault
				}
				return backendtest.Fault{}
			})
			b := newMachine(t, t.TempDir(), faulty, under(profile))
			for _, name := range packages {
				switch _, body, err := b.get(t.Context(), name); {
				case err != nil:
					b.put(t, name, big(name))
				case body != big(name):
					t.Fatalf("%s: another body", name)
				}
				b.wantHit(t, name+" stdout", "")
			}
			if strings.HasPrefix(name, "manifests") && b.stats.Summary().RemoteHits == 0 {
				t.Error("nothing came from entry objects")
			}
			b.Close(time.Minute)
			if got := b.warnings(); len(got) != 1 || !test.which(got[0]) {
				t.Errorf("%d warnings: %q", len(got), got)
			}

			c := newMachine(t, t.TempDir(), store, under(profile))
			defer c.Close(0)
			rebuild(t, c, packages...)
			if s := c.stats.Summary(); s.RemoteHits != 0 || s.Corrupt != 0 {
				t.Errorf("stats afterwards: %+v", s)
			}
		})
	}
}

// A remote that hangs in a pack holds a build up by the budget at most.
func TestHangingPack(t *testing.T) {
	store := built(t)
	for name, fault := range map[string]backendtest.Fault{
		"before": {Hang: true},
		"within": {Stall: true},
	} {
		t.Run(name, func(t *testing.T) {
			faulty := backendtest.Faulty(store, func(op, key string) backendtest.Fault {
				if strings.Contains(key, "/p/") {
					return fault
				}
				return backendtest.Fault{}
			})
			b := newMachine(t, t.TempDir(), faulty, under(profile), func(c *cache.SessionConfig) { c.Budget = 20 * time.Millisecond })
			b.wantMiss(t, "pantry")
			b.put(t, "pantry", big("pantry"))
			b.wantHit(t, "pantry", big("pantry"))
			b.Close(0)
		})
	}
}

// A session that ends before its manifest has come publishes all the same.
func TestCloseBeforeManifest(t *testing.T) {
	for range 20 {
		slow := faultyAt(backendtest.Memory(), "/m/", backendtest.Fault{Delay: time.Millisecond})
		m := newMachine(t, t.TempDir(), slow, under(profile))
		m.put(t, "pantry", big("pantry"))
		if m.Close(time.Minute) {
			t.Fatal("something is left")
		}
		if n := len(manifest(t, slow, profile).Entries); n != 1 {
			t.Fatalf("%d entries", n)
		}
	}
}

// Two sessions at the same time on one machine fetch everything once.
func TestTwoSessionsOnOneMachine(t *testing.T) {
	store := built(t)

	release := make(chan struct{})
	recorded, requests := traced(backendtest.Faulty(store, func(_, key string) backendtest.Fault {
		if strings.Contains(key, "/p/") {
			<-release
		}
		return backendtest.Fault{}
	}))
	dir := t.TempDir()
	b := newMachine(t, dir, recorded, under(profile))
	c := newMachine(t, dir, recorded, under(profile))
	var builds sync.WaitGroup
	builds.Go(func() { rebuild(t, b, packages...) })
	builds.Go(func() { rebuild(t, c, packages...) })
	time.Sleep(20 * time.Millisecond) // both are waiting now
	close(release)
	builds.Wait()
	b.Close(0)
	c.Close(0)
	packs := 0
	for _, line := range requests() {
		if strings.Contains(line, "/p/") {
			packs++
		}
	}
	if packs != 1 {
		t.Errorf("%d requests for packs:\n%s", packs, strings.Join(requests(), "\n"))
	}
}

package cache_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/backend/backendtest"
	"github.com/larderbuild/larder/cache"
	"github.com/larderbuild/larder/pack"
	"github.com/larderbuild/larder/session"
)

var profile = session.Profile{Module: "example.com/pantry", Name: "linux-amd64"}

// under gives a session a profile, and so a manifest.
func under(p session.Profile) func(*cache.SessionConfig) {
	return func(c *cache.SessionConfig) { c.Target.Profile = p }
}

// big is a body that is too large for a manifest.
func big(name string) string {
	return strings.Repeat("object code of "+name+" ", 2000) + name
}

// build puts bodies of names, as a build from nothing would.
func build(t *testing.T, m *machine, names ...string) {
	t.Helper()
	for _, name := range names {
		m.wantMiss(t, name)
		m.put(t, name, big(name))
		m.put(t, name+" stdout", "")
	}
}

// rebuild gets what build has put.
func rebuild(t *testing.T, m *machine, names ...string) {
	t.Helper()
	for _, name := range names {
		m.wantHit(t, name, big(name))
		m.wantHit(t, name+" stdout", "")
	}
}

// traced returns store and the requests to it, in the order of their ends.
func traced(store backend.Store) (backend.Store, func() []string) {
	var mu sync.Mutex
	var lines []string
	s := backend.WithLog(store, func(r backend.Record) {
		mu.Lock()
		defer mu.Unlock()
		lines = append(lines, r.String())
	})
	return s, func() []string {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(lines)
	}
}

func manifest(t *testing.T, store backend.Store, p session.Profile) *pack.Manifest {
	t.Helper()
	return manifestIn(t, store, "main", p)
}

func manifestIn(t *testing.T, store backend.Store, scope string, p session.Profile) *pack.Manifest {
	t.Helper()
	name := strings.NewReplacer("/", "%2F").Replace(p.Module)
	m, err := pack.Decode(read(t, store, "v1/"+scope+"/m/"+name+"/"+p.Name), pack.Place{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

var packages = []string{"fmt", "net", "net/http", "pantry"}

// A fresh machine whose build the manifest knows makes two requests for it: the
// manifest, and the one chunk. A build without news writes nothing.
func TestWarmRemote(t *testing.T) {
	store := backendtest.Memory()
	a := newMachine(t, t.TempDir(), store, under(profile))
	build(t, a, packages...)
	if a.Close(time.Minute) {
		t.Fatal("something is left")
	}

	recorded, requests := traced(store)
	b := newMachine(t, t.TempDir(), recorded, under(profile))
	rebuild(t, b, packages...)
	if b.Close(time.Minute) {
		t.Fatal("something is left")
	}
	got := requests()
	if len(got) != 2 ||
		!strings.HasPrefix(got[0], "get v1/main/m/example.…/linux-amd64: ok") ||
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

func TestChangedPackage(t *testing.T) {
	store := backendtest.Memory()
	a := newMachine(t, t.TempDir(), store, under(profile))
	build(t, a, packages...)
	a.Close(time.Minute)
	first := manifest(t, store, profile)

	b := newMachine(t, t.TempDir(), store, under(profile))
	rebuild(t, b, packages[:3]...)
	build(t, b, "pantry 2")
	if b.Close(time.Minute) {
		t.Fatal("something is left")
	}
	second := manifest(t, store, profile)
	if len(second.Packs) != 2 || second.Packs[0] != first.Packs[0] || second.Packs[1].Size >= first.Packs[0].Size {
		t.Errorf("packs %+v after %+v: want one more, with the news alone", second.Packs, first.Packs)
	}
	if len(second.Entries) != 10 {
		t.Errorf("%d entries, want 10", len(second.Entries))
	}

	c := newMachine(t, t.TempDir(), store, under(profile))
	defer c.Close(0)
	rebuild(t, c, "fmt", "net", "net/http", "pantry 2", "pantry")
	if s := c.stats.Summary(); s.RemoteHits != 0 {
		t.Errorf("stats: %+v", s)
	}
}

// What a build puts again as it was is no news.
func TestSamePutAgain(t *testing.T) {
	store := backendtest.Memory()
	a := newMachine(t, t.TempDir(), store, under(profile))
	build(t, a, packages...)
	a.Close(time.Minute)

	recorded, requests := traced(store)
	b := newMachine(t, t.TempDir(), recorded, under(profile))
	rebuild(t, b, packages...)
	b.put(t, "fmt stdout", "")
	b.put(t, "net", big("net"))
	if b.Close(time.Minute) {
		t.Fatal("something is left")
	}
	if got := requests(); len(got) != 2 {
		t.Errorf("requests:\n%s", strings.Join(got, "\n"))
	}
}

// Module indexes travel with other news and make none.
func TestModuleIndexes(t *testing.T) {
	store := backendtest.Memory()
	index := "go index v2\n" + big("index")
	a := newMachine(t, t.TempDir(), store, under(profile))
	a.put(t, "index 1", index)
	a.Close(time.Minute)
	for obj := range store.List(t.Context(), "") {
		t.Fatalf("an index alone was worth %s", obj.Key)
	}

	b := newMachine(t, t.TempDir(), store, under(profile))
	b.put(t, "index 2", index)
	build(t, b, "fmt")
	b.Close(time.Minute)
	c := newMachine(t, t.TempDir(), store, under(profile))
	defer c.Close(0)
	c.wantHit(t, "index 2", index)
}

// A profile without a manifest begins with the module's latest, and its own
// names the packs that are there already.
func TestNewProfile(t *testing.T) {
	store := backendtest.Memory()
	a := newMachine(t, t.TempDir(), store, under(profile))
	build(t, a, packages...)
	a.Close(time.Minute)

	other := session.Profile{Module: profile.Module, Name: "linux-amd64 vet"}
	b := newMachine(t, t.TempDir(), store, under(other))
	rebuild(t, b, packages...)
	build(t, b, "vet")
	if b.Close(time.Minute) {
		t.Fatal("something is left")
	}
	if s := b.stats.Summary(); s.RemoteHits != 0 {
		t.Errorf("stats: %+v", s)
	}
	m := manifest(t, store, session.Profile{Module: profile.Module, Name: "linux-amd64+vet"})
	if len(m.Packs) != 2 || m.Packs[0].Own || !m.Packs[1].Own {
		t.Errorf("packs: %+v", m.Packs)
	}
}

// Packs that grew too many are rewritten as one, and nothing of them is lost.
func TestCompaction(t *testing.T) {
	store := backendtest.Memory()
	var names []string
	most := 0
	for i := range 12 {
		m := newMachine(t, t.TempDir(), store, under(profile))
		rebuild(t, m, names...)
		names = append(names, fmt.Sprint("package ", i))
		build(t, m, names[i])
		if m.Close(time.Minute) {
			t.Fatal("something is left")
		}
		most = max(most, len(manifest(t, store, profile).Packs))
	}
	if n := len(manifest(t, store, profile).Packs); most != 8 || n >= 8 {
		t.Errorf("%d packs, at most %d", n, most)
	}
	m := newMachine(t, t.TempDir(), store, under(profile))
	defer m.Close(0)
	rebuild(t, m, names...)
	if s := m.stats.Summary(); s.RemoteHits != 0 || s.Misses != 0 {
		t.Errorf("stats: %+v", s)
	}
}

// Whatever becomes of packs and manifests, builds get what the entry objects
// hold, and the next publication puts it right.
func TestDamagedPacks(t *testing.T) {
	isPack := func(key string) bool { return strings.Contains(key, "/p/") }
	isManifest := func(key string) bool { return strings.Contains(key, "/m/") }
	for name, test := range map[string]struct {
		which func(string) bool
		fault backendtest.Fault
	}{
		"packs are gone":              {isPack, backendtest.Fault{Err: backend.ErrNotFound}},
		"packs can't be had":          {isPack, backendtest.Fault{Err: errors.New("internal error")}},
		"packs are cut":               {isPack, backendtest.Fault{Truncate: true}},
		"packs have flipped bits":     {isPack, backendtest.Fault{Flip: true}},
		"packs break off":             {isPack, backendtest.Fault{Break: errors.New("connection reset")}},
		"manifests have flipped bits": {isManifest, backendtest.Fault{Flip: true}},
		"manifests are cut":           {isManifest, backendtest.Fault{Truncate: true}},
		"manifests can't be had":      {isManifest, backendtest.Fault{Err: errors.New("internal error")}},
	} {
		t.Run(name, func(t *testing.T) {
			store := backendtest.Memory()
			a := newMachine(t, t.TempDir(), store, under(profile))
			build(t, a, packages...)
			a.Close(time.Minute)

			faulty := backendtest.Faulty(store, func(op, key string) backendtest.Fault {
				if op == "get" && test.which(key) {
					return test.fault
				}
				return backendtest.Fault{}
			})
			b := newMachine(t, t.TempDir(), faulty, under(profile))
			rebuild(t, b, packages...)
			if b.stats.Summary().RemoteHits == 0 {
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

// A remote that hangs in a pack holds a build up by the budget and no more.
func TestHangingPack(t *testing.T) {
	store := backendtest.Memory()
	a := newMachine(t, t.TempDir(), store, under(profile))
	build(t, a, packages...)
	a.Close(time.Minute)
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

// A session may be over before its manifest is there.
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

// Sessions at the same time on one machine fetch everything once.
func TestTwoSessionsOnOneMachine(t *testing.T) {
	store := backendtest.Memory()
	a := newMachine(t, t.TempDir(), store, under(profile))
	build(t, a, packages...)
	a.Close(time.Minute)

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

// A build of what nobody has built waits for a few lookups, not for all: for
// very few where the remote has no manifest of the module, either.
func TestColdBuild(t *testing.T) {
	t.Run("without a profile", func(t *testing.T) { testColdBuild(t, 64) })
	t.Run("of a new module", func(t *testing.T) { testColdBuild(t, 2+8, under(profile)) })
}

// testColdBuild expects no more than the first requests to be waited for.
func testColdBuild(t *testing.T, first int, options ...func(*cache.SessionConfig)) {
	release := make(chan struct{})
	asked := 0
	var mu sync.Mutex
	store := backendtest.Memory()
	slow := backendtest.Faulty(store, func(string, string) backendtest.Fault {
		mu.Lock()
		asked++
		n := asked
		mu.Unlock()
		if n > first {
			<-release
		}
		return backendtest.Fault{}
	})
	m := newMachine(t, t.TempDir(), slow, options...)
	for i := range 200 {
		m.wantMiss(t, fmt.Sprint(i)) // would never end if it waited
	}
	mu.Lock()
	if asked > first+200/8 {
		t.Errorf("%d of 200 gets looked up", asked)
	}
	mu.Unlock()
	close(release)

	// The first hit in the background makes lookups worth waiting for again.
	other := newMachine(t, t.TempDir(), store)
	other.put(t, "known", "body")
	other.put(t, "known, too", "body")
	other.Close(time.Minute)
	m.wantMiss(t, "known")
	for deadline := time.Now().Add(10 * time.Second); ; {
		if _, body, err := m.get(t.Context(), "known, too"); err == nil && body == "body" {
			break
		} else if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
	m.Close(0)
}

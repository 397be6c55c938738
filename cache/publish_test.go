package cache_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/larderbuild/larder/backend/backendtest"
	"github.com/larderbuild/larder/session"
)

func TestChangedPackage(t *testing.T) {
	store := built(t)
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

// A put of what the manifest names already is no news.
func TestSamePutAgain(t *testing.T) {
	store := built(t)

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

// The index of a whole module travels with other news, and is no news by itself.
func TestModuleIndexes(t *testing.T) {
	store := backendtest.Memory()
	index := index(2, big("index"))
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
	store := built(t)

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

// Several small packs become one after a publication, and nothing of them is lost.
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
		most = max(most, packsInUse(manifest(t, store, profile)))
	}
	if n := packsInUse(manifest(t, store, profile)); most != 3 || n > most {
		t.Errorf("%d packs, at most %d", n, most)
	}
	m := newMachine(t, t.TempDir(), store, under(profile))
	defer m.Close(0)
	rebuild(t, m, names...)
	if s := m.stats.Summary(); s.RemoteHits != 0 || s.Misses != 0 {
		t.Errorf("stats: %+v", s)
	}
}

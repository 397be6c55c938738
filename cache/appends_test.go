package cache

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/backend/backendtest"
)

// This file tests what the engine does with a store that appends: all that is put stays, so
// a publication puts one pack and one manifest.

// noted notes the requests to a store.
type noted struct {
	mu   sync.Mutex
	gets []string // keys below the scope
	puts []string
}

func (n *noted) over(store backend.Store) backend.Store {
	return backend.WithLog(store, func(r backend.Record) {
		n.mu.Lock()
		defer n.mu.Unlock()
		name := strings.TrimPrefix(r.Key, "v1/main/")
		if r.Op == "get" {
			n.gets = append(n.gets, name)
		} else {
			n.puts = append(n.puts, name)
		}
	})
}

// kinds returns the kinds of what was put since the last call: the first letters of the
// names.
func (n *noted) kinds() (kinds string) {
	for _, name := range n.puts {
		kinds += name[:1]
	}
	n.gets, n.puts = nil, nil
	return kinds
}

// TestPublishAppends: each publication puts one pack and one manifest, also where it merges
// packs, and after many of them few packs are in use.
func TestPublishAppends(t *testing.T) {
	var n noted
	w := newWorkshop(t, n.over(backendtest.Appending()))
	var all []made
	for i := range 40 {
		all = append(all, w.make(fmt.Sprint("package ", i), 4<<10))
		p := w.publish("build", all)
		p.compact(t.Context())
		if got := n.kinds(); got != "pm" {
			t.Fatalf("publication %d has put %q, want a pack and a manifest", i, got)
		}
	}
	if got := len(inUse(w.manifest("build"))); got > 2*tierPacks {
		t.Errorf("%d packs after 40 publications", got)
	}
	w.wantAll("build", all)

	w.publish("build", all)
	if got := n.kinds(); got != "" {
		t.Errorf("a publication without news has put %q", got)
	}
}

// TestMergeElsewhere: a fresh machine, which lacks the old bodies, merges packs as well.
func TestMergeElsewhere(t *testing.T) {
	store := backendtest.Appending()
	var all []made
	for i := range tierPacks + 1 {
		w := newWorkshop(t, store)
		all = append(all, w.make(fmt.Sprint("package ", i), 4<<10))
		w.publish("build", all)
	}
	w := newWorkshop(t, store)
	if got := len(inUse(w.manifest("build"))); got != 1 {
		t.Errorf("%d packs, want 1", got)
	}
	w.wantAll("build", all)
}

// TestNewestSibling: without a roster a profile begins with the manifest that was published
// last, and packs nothing that is in it.
func TestNewestSibling(t *testing.T) {
	var n noted
	store := backendtest.Appending()
	w := newWorkshop(t, n.over(store))
	shared := w.makeMany("shared", 3, 4<<10)
	w.publish("build", shared)
	n.kinds()
	own := w.make("own", 4<<10)
	w.publish("test", append(slices.Clone(shared), own))
	if got := n.kinds(); got != "pm" {
		t.Errorf("put %q", got)
	}
	w.wantAll("test", append(slices.Clone(shared), own))
	if got := w.packed.Load(); got > 5*(5<<10) {
		t.Errorf("%d bytes of packs, some twice", got)
	}

	// What both have made since then is packed once, and what the owner has merged is
	// followed.
	for i := range 2 * tierPacks {
		news := w.make(fmt.Sprint("news ", i), 4<<10)
		shared = append(shared, news)
		w.publish("build", shared)
		before := w.packed.Load()
		w.publish("test", append(slices.Clone(shared), own))
		if got := w.packed.Load(); got != before {
			t.Errorf("publication %d packs again what the sibling has packed", i)
		}
	}
	w.wantAll("test", append(slices.Clone(shared), own))
	mine := inUse(w.manifest("test"))
	if len(mine) > 2*tierPacks {
		t.Errorf("%d packs are in use", len(mine))
	}
}

// TestAppendersMeet: of two that publish at the same time none loses the other's news, if
// one sees the other's manifest.
func TestAppendersMeet(t *testing.T) {
	store := &hooked{Store: backendtest.Appending()}
	w := newWorkshop(t, store)
	mine, theirs := w.make("mine", 4<<10), w.make("theirs", 4<<10)
	store.before = func() { w.publish("build", []made{theirs}) }
	w.publish("build", []made{mine})
	w.wantAll("build", []made{mine, theirs})
}

// TestPacksAreReadOften: a store that removes what nobody reads for a week has each pack
// read twice in that time.
func TestPacksAreReadOften(t *testing.T) {
	var n noted
	w := newWorkshop(t, n.over(backendtest.Appending()))
	all := w.makeMany("package", 2, 4<<10)
	w.publish("build", all)
	last, longest := w.now, 0
	for range 21 {
		n.kinds()
		w.now = w.now.AddDate(0, 0, 1)
		w.publish("build", all)
		if slices.ContainsFunc(n.gets, func(name string) bool { return strings.HasPrefix(name, "p/") }) {
			longest = max(longest, int(w.now.Sub(last).Hours()/24))
			last = w.now
		}
	}
	if longest == 0 || longest > 3 {
		t.Errorf("a pack was not read for %d days", longest)
	}
}

package cache_test

import (
	"encoding/hex"
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/backend/backendtest"
	"github.com/larderbuild/larder/pack"
	"github.com/larderbuild/larder/session"
)

// dayPasses makes the last publication one of the day before.
func dayPasses(t *testing.T, store backend.Store) {
	t.Helper()
	m := manifest(t, store, profile)
	m.Clock--
	place := pack.Place{Scope: "main", Name: "m/v5/" + url.QueryEscape(profile.Module) + "/" + profile.Name}
	object, err := m.Encode(place, nil)
	if err != nil {
		t.Fatal(err)
	}
	write(t, store, "v1/main/"+place.Name, object)
}

// buildAgain builds in dir, where all is there, as somebody who fetched no manifest lately.
func buildAgain(t *testing.T, dir string, store backend.Store, p session.Profile) {
	t.Helper()
	if err := os.RemoveAll(filepath.Join(dir, "larder", "manifests")); err != nil {
		t.Fatal(err)
	}
	m := newMachine(t, dir, store, under(p))
	rebuild(t, m, packages...)
	m.wantMiss(t, "what nobody has built") // waits until the manifest is loaded
	if m.Close(time.Minute) {
		t.Fatal("something is left")
	}
}

// Who publishes reads a byte of each pack, once a week.
func TestPacksAreRead(t *testing.T) {
	store, requests := traced(backendtest.Memory())
	dir := t.TempDir()
	first := newMachine(t, dir, store, under(profile))
	build(t, first, packages...)
	first.Close(time.Minute)
	reads := func() (n int) {
		for _, r := range requests() {
			if strings.HasPrefix(r, "get v1/main/p/") && strings.HasSuffix(r, " 0+1: ok, 1") {
				n++
			}
		}
		return n
	}
	for week := range 3 {
		for range 7 {
			buildAgain(t, dir, store, profile) // the same day: nothing is published
			dayPasses(t, store)
			buildAgain(t, dir, store, profile)
		}
		if n := reads(); n != week+1 {
			t.Fatalf("%d reads in %d weeks", n, week+1)
		}
	}
}

// A pack that is gone is noticed within a week, even if no session asks for it, and at
// once by a profile that begins with another one's manifest. What was used is packed again.
func TestLostPacks(t *testing.T) {
	for name, test := range map[string]struct {
		days    int
		profile session.Profile
	}{
		"own":  {7, profile},
		"lent": {1, session.Profile{Module: profile.Module, Name: "vet"}},
	} {
		t.Run(name, func(t *testing.T) {
			store, dir := backendtest.Memory(), t.TempDir()
			first := newMachine(t, dir, store, under(profile))
			build(t, first, packages...)
			first.Close(time.Minute)
			for _, prefix := range []string{"v1/main/p/", "v1/main/a/"} {
				for _, key := range keys(t, store, prefix) {
					if err := store.Delete(t.Context(), key, ""); err != nil {
						t.Fatal(err)
					}
				}
			}
			for range test.days {
				dayPasses(t, store)
				buildAgain(t, dir, store, test.profile)
			}
			for _, p := range manifest(t, store, test.profile).Packs {
				id := hex.EncodeToString(p.ID[:])
				if len(keys(t, store, "v1/main/p/"+id[:2]+"/"+id)) == 0 {
					t.Errorf("the manifest names pack %s, which is gone", id)
				}
			}
			fresh := newMachine(t, t.TempDir(), store, under(test.profile))
			rebuild(t, fresh, packages...)
			fresh.Close(0)
			if s := fresh.stats.Summary(); s.Misses > 0 || s.PrefetchHits == 0 {
				t.Errorf("stats: %+v", s)
			}
		})
	}
}

// If one entry is misplaced, a publication looks after its pack, so nothing else in a pack that
// is gone stays in the manifest.
func TestMisplacedTellsOfThePack(t *testing.T) {
	store := built(t)
	for _, prefix := range []string{"v1/main/p/", "v1/main/a/"} {
		for _, key := range keys(t, store, prefix) {
			if err := store.Delete(t.Context(), key, ""); err != nil {
				t.Fatal(err)
			}
		}
	}
	m := newMachine(t, t.TempDir(), store, under(profile))
	build(t, m, packages[0])
	m.Close(time.Minute)
	if after := manifest(t, store, profile); len(after.Packs) != 1 || len(after.Entries) != 1+len(packages) {
		t.Errorf("%d packs and %d entries: want one pack, with what was built again, and what stands in the manifest", len(after.Packs), len(after.Entries))
	}
}

// A store that fails while packs are looked after loses nothing.
func TestFaultWhileLookingAfterPacks(t *testing.T) {
	inner, dir := backendtest.Memory(), t.TempDir()
	first := newMachine(t, dir, inner, under(profile))
	build(t, first, packages...)
	first.Close(time.Minute)
	before := manifest(t, inner, profile)
	faulty := backendtest.Faulty(inner, func(op, key string) backendtest.Fault {
		if op == "get" && strings.HasPrefix(key, "v1/main/p/") {
			return backendtest.Fault{Err: errors.New("connection lost")}
		}
		return backendtest.Fault{}
	})
	for range 7 {
		dayPasses(t, inner)
		buildAgain(t, dir, faulty, profile)
	}
	after := manifest(t, inner, profile)
	if after.Today != before.Today+7 || len(after.Packs) != 1 || after.Packs[0] != before.Packs[0] || len(after.Entries) != len(before.Entries) {
		t.Errorf("%+v, before %+v", after, before)
	}
}

package cache_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/backend/backendtest"
	"github.com/larderbuild/larder/cache"
	"github.com/larderbuild/larder/pack"
	"github.com/larderbuild/larder/session"
)

// What another job has just published is found in its manifest, and brought by need, with
// what lies beside it. It is not stored twice.
func TestSiblings(t *testing.T) {
	t.Run("a bucket", func(t *testing.T) { testSiblings(t, backendtest.Memory()) })
	t.Run("a store that appends", func(t *testing.T) { testSiblings(t, backendtest.Appending()) })
}

func testSiblings(t *testing.T, store backend.Store) {
	store, requests := traced(store)
	for _, name := range []string{"test", "build"} {
		m := newMachine(t, t.TempDir(), store, job(name))
		build(t, m, name+" alone")
		m.Close(time.Minute)
	}
	a := newMachine(t, t.TempDir(), store, job("build"))
	build(t, a, packages...)
	a.Close(time.Minute)

	before := len(requests())
	b := newMachine(t, t.TempDir(), store, job("test"))
	rebuild(t, b, "test alone")
	rebuild(t, b, packages...)
	b.Close(time.Minute)
	// Two manifests, the roster, the own pack, and a chunk of the sibling's.
	if asked := requests()[before:][:5]; count(asked, "get") != 5 || strings.Count(strings.Join(asked, "\n"), "/p/") != 2 {
		t.Errorf("asked for %q", asked)
	}
	if s := b.stats.Summary(); s.Misses != 0 || s.RemoteHits != 0 {
		t.Errorf("stats: %+v", s)
	}
	for _, line := range requests()[before+5:] {
		if strings.HasPrefix(line, "put ") && !strings.Contains(line, "/m/") {
			t.Errorf("the publication: %s", line)
		}
	}
	m := manifest(t, store, session.Profile{Module: profile.Module, Name: "test"})
	own := slices.DeleteFunc(slices.Clone(m.Packs), func(p pack.Pack) bool { return !p.Own })
	if len(m.Entries) != 2+2*len(packages) || len(own) != 1 || len(m.Packs) != 2 {
		t.Errorf("%d entries in packs %+v", len(m.Entries), m.Packs)
	}

	before = len(requests())
	c := newMachine(t, t.TempDir(), store, job("test"))
	rebuild(t, c, packages...)
	c.Close(time.Minute)
	if s := c.stats.Summary(); s.Misses != 0 || s.RemoteBytesOut != 0 {
		t.Errorf("the next time: %+v, %q", s, requests()[before:])
	}
}

// If several manifests name other outputs of an action, the session's own counts, and then
// the one that was published last. What the first scope has counts before the others.
func TestOrderOfSiblings(t *testing.T) {
	store := backendtest.Memory()
	publish := func(name, text string, change ...func(*cache.SessionConfig)) {
		m := newMachine(t, t.TempDir(), store, append(change, job(name))...)
		m.put(t, "log", text)
		m.put(t, "shared log", text)
		m.Close(time.Minute)
	}
	own := newMachine(t, t.TempDir(), store, job("own"))
	own.put(t, "log", "as own has it")
	own.Close(time.Minute)
	publish("old", "as old has it")
	publish("new", "as new has it")
	m := newMachine(t, t.TempDir(), store, job("own"))
	m.wantHit(t, "log", "as own has it")
	m.wantHit(t, "shared log", "as new has it")
	m.Close(0)

	publish("new", "as the pull request has it", pull("pr-7"))
	publish("old", "as old has it now")
	m = newMachine(t, t.TempDir(), store, job("own"), pull("pr-7"))
	m.wantHit(t, "shared log", "as the pull request has it")
	m.Close(0)
	m = newMachine(t, t.TempDir(), store, job("own"))
	m.wantHit(t, "shared log", "as old has it now")
	m.Close(0)
}

// A pull request finds what the jobs of main have published, and names nothing of it again.
func TestSiblingsOfAnotherScope(t *testing.T) {
	store := backendtest.Memory()
	a := newMachine(t, t.TempDir(), store, job("build"))
	build(t, a, packages...)
	a.Close(time.Minute)
	for _, name := range []string{"test", "build"} {
		m := newMachine(t, t.TempDir(), store, job(name))
		m.put(t, "log of "+name, "log")
		m.Close(time.Minute)
	}
	b := newMachine(t, t.TempDir(), store, job("test"), pull("pr-7"))
	b.wantHit(t, "log of test", "log")
	rebuild(t, b, packages...)
	b.Close(time.Minute)
	if own := keys(t, store, "v1/pr-7/"); len(own) != 0 {
		t.Errorf("without news there is %q", own)
	}
}

// Signatures count in siblings' manifests as in others.
func TestSiblingsAreSigned(t *testing.T) {
	store, k := backendtest.Memory(), generate(t)
	a := newMachine(t, t.TempDir(), store, job("trusted"), signing(k))
	build(t, a, packages[:2]...)
	a.Close(time.Minute)
	b := newMachine(t, t.TempDir(), store, job("forged"), signing(generate(t)))
	build(t, b, packages[2:]...)
	b.Close(time.Minute)
	c := newMachine(t, t.TempDir(), store, job("new"), signing(k))
	defer c.Close(0)
	rebuild(t, c, packages[:2]...)
	c.wantMiss(t, packages[2])
	if s := c.stats.Summary(); s.Untrusted != 1 {
		t.Errorf("stats: %+v", s)
	}
}

// A sibling's manifest that can't be had costs a warning, and what it names are misses.
func TestLostSibling(t *testing.T) {
	store := backendtest.Memory()
	for _, name := range []string{"own", "other"} {
		m := newMachine(t, t.TempDir(), store, job(name))
		build(t, m, name)
		m.Close(time.Minute)
	}
	const other = "v1/main/m/v5/example.com%2Fpantry/other"
	faulty := backendtest.Faulty(store, func(op, key string) backendtest.Fault {
		if key == other {
			return backendtest.Fault{Err: errors.New("connection reset")}
		}
		return backendtest.Fault{}
	})
	for _, lost := range []bool{false, true} {
		if lost {
			if err := store.Delete(context.Background(), other, ""); err != nil {
				t.Fatal(err)
			}
			faulty = store
		}
		m := newMachine(t, t.TempDir(), faulty, job("own"))
		rebuild(t, m, "own")
		m.wantMiss(t, "other")
		m.Close(0)
		if said := m.warnings(); (len(said) == 0) != lost {
			t.Errorf("warnings: %q", said)
		}
	}
}

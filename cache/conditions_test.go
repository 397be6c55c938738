package cache_test

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/backend/backendtest"
)

// unconditional is a store without conditional puts: it refuses them, or ignores their
// conditions.
type unconditional struct {
	backend.Store
	ignores bool
	silent  bool // a Put does not return the version
}

func (s unconditional) Put(ctx context.Context, key string, body io.ReadSeeker, opts backend.PutOptions) (backend.Object, error) {
	if opts.If != (backend.Condition{}) && !s.ignores {
		return backend.Object{}, backend.Wrap(ctx, "put", key, backend.ErrNoConditions)
	}
	opts.If = backend.Condition{}
	obj, err := s.Store.Put(ctx, key, body, opts)
	if s.silent {
		obj.Version = ""
	}
	return obj, err
}

// A store without conditional puts holds manifests all the same. A machine asks once whether
// it has them, and says so once.
func TestStoreWithoutConditions(t *testing.T) {
	for name, ignores := range map[string]bool{"refuses them": false, "ignores them": true} {
		t.Run(name, func(t *testing.T) {
			store := backendtest.Memory()
			recorded, requests := traced(unconditional{store, ignores, false})
			conditional := func() (n int) {
				for _, line := range requests() {
					if strings.Contains(line, " if ") {
						n++
					}
				}
				return n
			}
			dir, said := t.TempDir(), 0
			for _, p := range packages {
				m := newMachine(t, dir, recorded, under(profile))
				build(t, m, p)
				if m.Close(time.Minute) {
					t.Fatalf("something is left: %s", m.log)
				}
				if len(m.warnings()) != 0 {
					t.Errorf("warnings: %q", m.warnings())
				}
				said += strings.Count(m.log.String(), "no conditional puts")
			}
			asked := conditional()
			if said != 1 || asked > 4 {
				t.Errorf("said %d times, asked %d times", said, asked)
			}
			m := newMachine(t, dir, recorded, under(profile))
			build(t, m, "one more")
			m.Close(time.Minute)
			if again := conditional(); again != asked {
				t.Errorf("asked again: %q", requests())
			}
			fresh := newMachine(t, t.TempDir(), store, under(profile))
			defer fresh.Close(0)
			rebuild(t, fresh, slices.Concat(packages, []string{"one more"})...)
			if s := fresh.stats.Summary(); s.RemoteHits != 0 || s.Misses != 0 {
				t.Errorf("a fresh machine: %+v", s)
			}
		})
	}
}

// Of two sessions that publish one after the other, both having begun with the same manifest,
// none loses anything, although the store has no conditional puts.
func TestMergeWithoutConditions(t *testing.T) {
	for _, silent := range []bool{false, true} {
		t.Run(fmt.Sprintf("silent=%t", silent), func(t *testing.T) { testMergeWithoutConditions(t, silent) })
	}
}

func testMergeWithoutConditions(t *testing.T, silent bool) {
	inner := backendtest.Memory()
	store := unconditional{inner, false, silent}
	a := newMachine(t, t.TempDir(), store, under(profile))
	b := newMachine(t, t.TempDir(), store, under(profile))
	build(t, a, packages[:2]...)
	build(t, b, packages[2:]...)
	if a.Close(time.Minute) || b.Close(time.Minute) {
		t.Fatal("something is left")
	}
	c := newMachine(t, t.TempDir(), inner, under(profile))
	defer c.Close(0)
	rebuild(t, c, packages...)
	if s := c.stats.Summary(); s.RemoteHits != 0 || s.Misses != 0 {
		t.Errorf("stats: %+v", s)
	}
}

// A store with conditional puts is asked once whether it minds them.
func TestProbeOfConditions(t *testing.T) {
	recorded, requests := traced(built(t))
	dir := t.TempDir()
	for _, name := range []string{"a", "b", "c"} {
		m := newMachine(t, dir, recorded, under(profile))
		build(t, m, name)
		m.Close(time.Minute)
	}
	var probes int
	for _, line := range requests() {
		if strings.Contains(line, "@profiles if absent: conflict") {
			probes++
		}
	}
	if probes != 1 {
		t.Errorf("%d probes: %q", probes, requests())
	}
}

// A store that takes only so many writes of one object is no trouble.
func TestContention(t *testing.T) {
	store := backendtest.Memory()
	busy := stumbling(store, backendtest.Fault{Err: &backend.Busy{Object: true}}, 5, "put", "/m/")
	a := newMachine(t, t.TempDir(), busy, under(profile))
	build(t, a, packages...)
	if a.Close(time.Minute) {
		t.Error("something is left")
	}
	if len(a.warnings()) != 0 {
		t.Errorf("warnings: %q", a.warnings())
	}
	b := newMachine(t, t.TempDir(), store, under(profile))
	defer b.Close(0)
	rebuild(t, b, packages...)
}

// A publication is given up soon if it meets conflicts and nobody else publishes.
func TestConditionsThatNeverHold(t *testing.T) {
	inner := backendtest.Memory()
	recorded, requests := traced(stumbling(inner, backendtest.Fault{Err: backend.ErrConflict}, 1<<30, "put", "/m/"))
	m := newMachine(t, t.TempDir(), recorded, under(profile))
	build(t, m, packages...)
	if !m.Close(time.Minute) {
		t.Error("nothing is left")
	}
	attempts := 0
	for _, line := range requests() {
		if strings.HasPrefix(line, "put ") && strings.Contains(line, "/m/") {
			attempts++
		}
	}
	if attempts < 3 || attempts > 10 {
		t.Errorf("%d attempts: %q", attempts, requests())
	}
	if said := m.warnings(); len(said) != 1 || !strings.Contains(said[0], "could not publish") {
		t.Errorf("warnings: %q", said)
	}
}

// The module's latest profile is not worth a wait.
func TestContentionForTheLatest(t *testing.T) {
	store := backendtest.Memory()
	busy := stumbling(store, backendtest.Fault{Err: &backend.Busy{Object: true}}, 1<<30, "put", "@profiles")
	a := newMachine(t, t.TempDir(), busy, under(profile))
	build(t, a, packages...)
	if a.Close(time.Minute) || len(a.warnings()) != 0 {
		t.Errorf("left something, or said %q", a.warnings())
	}
}

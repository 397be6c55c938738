package cache_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/backend/backendtest"
	"github.com/larderbuild/larder/cache"
)

// However few requests may be under way at once, those behind a referral get through.
func TestReferralsWithFewSlots(t *testing.T) {
	for _, slots := range []int{1, 4} {
		store := backendtest.Memory()
		a := newMachine(t, t.TempDir(), store, under(profile))
		for i := range 16 {
			a.put(t, fmt.Sprint(i), random(fmt.Sprint(i), 20_000))
		}
		a.Close(time.Minute)
		m := newMachine(t, t.TempDir(), backend.WithLimit(store, slots), under(another))
		var gets sync.WaitGroup
		for i := range 16 {
			gets.Go(func() {
				if _, _, err := m.get(t.Context(), fmt.Sprint(i)); err != nil {
					t.Errorf("%d slots: get %d: %v", slots, i, err)
				}
			})
		}
		gets.Wait()
		m.Close(0)
	}
}

// A referral may be newer than what the machine, or the session, knows of its manifest.
func TestNewerReferrals(t *testing.T) {
	store, dir := built(t), t.TempDir()
	before := newMachine(t, dir, store, under(profile)) // leaves a copy of the manifest
	before.wantHit(t, packages[0], big(packages[0]))
	before.Close(0)
	publish := func(name string) {
		job := newMachine(t, t.TempDir(), store, under(profile))
		build(t, job, name)
		job.Close(time.Minute)
	}
	publish("news")
	m := newMachine(t, dir, store, under(another))
	m.wantHit(t, "news", big("news"))
	m.Close(0)

	long := newMachine(t, t.TempDir(), store, under(another))
	long.wantHit(t, "news", big("news"))
	publish("newer")
	long.wantHit(t, "newer", big("newer"))
	long.Close(0)
}

// What a referral has brought counts as one hit of the remote, and not after a put.
func TestHitsByReferralCountOnce(t *testing.T) {
	m := newMachine(t, t.TempDir(), built(t), under(another))
	for range 3 {
		m.wantHit(t, packages[0], big(packages[0]))
	}
	m.put(t, packages[1], big(packages[1]))
	m.wantHit(t, packages[1], big(packages[1]))
	m.Close(0)
	if s := m.stats.Summary(); s.RemoteHits != 1 || s.LocalHits != 3 {
		t.Errorf("stats: %+v", s)
	}
}

// Who may write entry objects and no manifests uploads bodies.
func TestDeniedManifests(t *testing.T) {
	store := backendtest.Memory()
	m := newMachine(t, t.TempDir(), backendtest.Faulty(store, func(op, key string) backendtest.Fault {
		if op == "put" && strings.Contains(key, "/m/") {
			return backendtest.Fault{Err: backend.ErrDenied}
		}
		return backendtest.Fault{}
	}), under(profile))
	build(t, m, packages...)
	m.Close(time.Minute)
	b := newMachine(t, t.TempDir(), store)
	rebuild(t, b, packages...)
	b.Close(0)
}

// An entry that its own manifest promises in vain is not asked for again by a referral.
func TestReferralToWhatIsUnreached(t *testing.T) {
	store := backendtest.Memory()
	a := newMachine(t, t.TempDir(), store, under(profile))
	a.put(t, "large", random("large", 5_000_000))
	a.Close(time.Minute)
	faulty, requests := traced(backendtest.Faulty(store, func(op, key string) backendtest.Fault {
		if op == "get" && strings.Contains(key, "/p/") {
			return backendtest.Fault{Err: fmt.Errorf("internal error")}
		}
		return backendtest.Fault{}
	}))
	m := newMachine(t, t.TempDir(), faulty, under(profile))
	m.wantMiss(t, "large")
	m.Close(0)
	if n := strings.Count(strings.Join(requests(), "\n"), "/p/"); n != 2 { // by the prefetch, and alone
		t.Errorf("the pack was asked for %d times: %q", n, requests())
	}
}

// Actions whose referrals lead nowhere any more are misses as others are: a session stops
// asking for them.
func TestColdBesideReferrals(t *testing.T) {
	store := backendtest.Memory()
	a := newMachine(t, t.TempDir(), store, under(profile))
	const all = 300
	for i := range all {
		a.put(t, fmt.Sprint(i), random(fmt.Sprint(i), 17_000))
	}
	a.Close(time.Minute)
	remove(t, store, "v1/main/m/")
	remove(t, store, "v1/main/p/")
	counted, requests := traced(store)
	m := newMachine(t, t.TempDir(), counted, func(c *cache.SessionConfig) { c.Budget = time.Minute })
	m.put(t, "something", "something")
	for i := range all {
		m.wantMiss(t, fmt.Sprint(i))
	}
	m.Close(0)
	if n := count(requests(), "get"); n > all/2 {
		t.Errorf("%d requests for %d misses", n, all)
	}
}

package cache_test

import (
	"testing"
	"time"

	"github.com/larderbuild/larder/backend/backendtest"
	"github.com/larderbuild/larder/session"
)

// Two profiles make the same body at different times. The second one borrows what the first
// one has packed, with the time that the pack has for it.
func TestBorrowedTime(t *testing.T) {
	store := backendtest.Memory()
	other := session.Profile{Module: profile.Module, Name: "vet"}
	own := newMachine(t, t.TempDir(), store, under(other))
	build(t, own, "vet")
	own.Close(time.Minute)

	first := newMachine(t, t.TempDir(), store, under(profile))
	second := newMachine(t, t.TempDir(), store, under(other))
	for _, m := range []*machine{first, second} {
		for _, name := range packages {
			m.put(t, name, big(name))
		}
	}
	first.Close(time.Minute)
	second.Close(time.Minute)

	m := newMachine(t, t.TempDir(), store, under(other))
	defer m.Close(0)
	for _, name := range packages {
		m.wantHit(t, name, big(name))
	}
	if s := m.stats.Summary(); s.Corrupt > 0 || s.PrefetchHits != int64(len(packages)) {
		t.Errorf("stats: %+v", s)
	}
}

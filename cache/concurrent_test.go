package cache_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/backend/backendtest"
	"github.com/larderbuild/larder/backend/dir"
)

// Jobs that publish at the same time lose nothing of each other's.
func TestConcurrentPublishers(t *testing.T) {
	onDisk, err := dir.Open(t.Context(), dir.Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	for name, store := range map[string]backend.Store{"memory": backendtest.Memory(), "dir": onDisk} {
		t.Run(name, func(t *testing.T) {
			// Twice, as the second time there is a manifest to begin with.
			for round := range 2 {
				publishTogether(t, store, round)
			}
			names := rounds(2)
			m := newMachine(t, t.TempDir(), store, under(profile))
			defer m.Close(0)
			rebuild(t, m, names...)
			if s := m.stats.Summary(); s.Misses > 0 || s.RemoteHits > 0 {
				t.Errorf("stats: %+v", s)
			}
			if n := len(manifest(t, store, profile).Entries); n != 2*len(names) {
				t.Errorf("%d entries, want %d", n, 2*len(names))
			}
		})
	}
}

const publishers = 8

// rounds names what publishTogether publishes in so many rounds.
func rounds(n int) (names []string) {
	for round := range n {
		for job := range publishers {
			names = append(names, fmt.Sprintf("round %d job %d", round, job))
		}
	}
	return names
}

// publishTogether has several jobs build something of their own and publish it
// all at once.
func publishTogether(t *testing.T, store backend.Store, round int) {
	t.Helper()
	var jobs []*machine
	for job := range publishers {
		m := newMachine(t, t.TempDir(), store, under(profile))
		rebuild(t, m, rounds(round)...)
		build(t, m, fmt.Sprintf("round %d job %d", round, job))
		jobs = append(jobs, m)
	}
	var closing sync.WaitGroup
	for i, m := range jobs {
		closing.Go(func() {
			if m.Close(time.Minute) {
				t.Errorf("job %d left something", i)
			}
			if got := m.warnings(); len(got) > 0 {
				t.Errorf("job %d: %s", i, strings.Join(got, "\n"))
			}
		})
	}
	closing.Wait()
}

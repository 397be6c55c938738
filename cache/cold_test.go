package cache_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/larderbuild/larder/backend/backendtest"
	"github.com/larderbuild/larder/cache"
)

// A build of what nobody has built waits for its first lookups and not for the others.
// It waits for fewer where the remote has no manifest of the module.
func TestColdBuild(t *testing.T) {
	t.Run("without a profile", func(t *testing.T) { testColdBuild(t, 64) })
	t.Run("of a new module", func(t *testing.T) { testColdBuild(t, 2+8, under(profile)) })
}

// testColdBuild expects that a build waits for the first requests alone.
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
	m.put(t, "0", "body")
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

package cache_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/larderbuild/larder/backend/backendtest"
	"github.com/larderbuild/larder/cache"
)

// leaveTogether has n sessions of one target end with all their work left.
func leaveTogether(t *testing.T, local string, first, n int) (names []string) {
	t.Helper()
	for i := range n {
		m := newMachine(t, local, backendtest.Memory(), under(profile), func(c *cache.SessionConfig) { c.Defer = true })
		names = append(names, fmt.Sprint("package ", first+i))
		build(t, m, names[i])
		if !m.Close(0) {
			t.Fatal("nothing is left")
		}
	}
	return names
}

// wantPublications fails the test unless requests have n puts of packs and of manifests.
func wantPublications(t *testing.T, requests []string, n int) {
	t.Helper()
	packs, manifests := 0, 0
	for _, r := range requests {
		switch {
		case strings.HasPrefix(r, "put v1/main/p/"):
			packs++
		case strings.HasPrefix(r, "put v1/main/m/") && strings.Contains(r, profile.Name):
			manifests++
		}
	}
	if packs != n || manifests != n {
		t.Errorf("%d packs and %d manifests were put, want %d of each:\n%s", packs, manifests, n, strings.Join(requests, "\n"))
	}
}

// One Flush publishes what ten sessions have left as one.
func TestPublishedTogether(t *testing.T) {
	local := t.TempDir()
	store, requests := traced(backendtest.Memory())
	names := leaveTogether(t, local, 0, 10)
	if _, err := flush(t.Context(), local, store); err != nil {
		t.Fatal(err)
	}
	wantPublications(t, requests(), 1)
	m := newMachine(t, t.TempDir(), store, under(profile))
	defer m.Close(0)
	rebuild(t, m, names...)
}

// What sessions leave while a Flush is at work is published as one, too.
func TestPublishedTogetherMeanwhile(t *testing.T) {
	local := t.TempDir()
	open := make(chan struct{})
	begun := make(chan bool, 100)
	store, requests := traced(gated{backendtest.Memory(), open})
	told := backendtest.Faulty(store, func(op, _ string) backendtest.Fault {
		if op == "put" {
			begun <- true
		}
		return backendtest.Fault{}
	})
	names := leaveTogether(t, local, 0, 1)
	flushed := make(chan error, 1)
	go func() {
		_, err := flush(t.Context(), local, told)
		flushed <- err
	}()
	<-begun
	names = append(names, leaveTogether(t, local, 1, 9)...)
	close(open)
	if err := <-flushed; err != nil {
		t.Fatal(err)
	}
	wantPublications(t, requests(), 2)
	m := newMachine(t, t.TempDir(), store, under(profile))
	defer m.Close(0)
	rebuild(t, m, names...)
}

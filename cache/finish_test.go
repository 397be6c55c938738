package cache_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/backend/backendtest"
	"github.com/larderbuild/larder/cache"
)

// random returns a body of n bytes that do not compress.
func random(name string, n int) string {
	body := make([]byte, n)
	_, _ = rand.NewChaCha8(sha256.Sum256([]byte(name))).Read(body)
	return string(body)
}

// narrow is a store that takes a number of bytes a second.
type narrow struct {
	backend.Store
	pace int64
	link chan struct{} // has an element while bytes pass
}

func (n narrow) Put(ctx context.Context, key string, body io.ReadSeeker, opts backend.PutOptions) (backend.Object, error) {
	const step = 4 << 10
	for left := opts.Size; left > 0; left -= step {
		select {
		case n.link <- struct{}{}:
		case <-ctx.Done():
			return backend.Object{}, context.Cause(ctx)
		}
		time.Sleep(time.Second * time.Duration(min(left, step)) / time.Duration(n.pace))
		<-n.link
	}
	return n.Store.Put(ctx, key, body, opts)
}

// inBubble runs f in a bubble of package synctest. What f leaves in the pools of package entry
// belongs to the bubble, so that the next test must not meet it.
func inBubble(t *testing.T, f func(*testing.T)) {
	t.Helper()
	synctest.Test(t, f)
	runtime.GC() // what lies in a pool is let go by the second one
	runtime.GC()
}

// Where the time does not suffice, each run comes further than the one before, on a
// machine that keeps nothing, until nothing is missing. And a line says what is left.
func TestSlowLinkMakesProgress(t *testing.T) {
	t.Run("with entry objects", func(t *testing.T) { testSlowLink(t, under(profile)) })
	t.Run("without", func(t *testing.T) { testSlowLink(t, job(profile.Name)) })
}

func testSlowLink(t *testing.T, change func(*cache.SessionConfig)) {
	t.Helper()
	inBubble(t, func(t *testing.T) {
		store := backendtest.Memory()
		slow := narrow{store, 100 << 10, make(chan struct{}, 1)}
		missing := 24 // bodies of 128 KiB: half a minute
		for run := 1; missing > 0; run++ {
			if run > 10 {
				t.Fatalf("%d bodies are still missing", missing)
			}
			m := newMachine(t, t.TempDir(), slow, change)
			misses := 0
			for i := range 24 {
				name := fmt.Sprint(i)
				if _, _, err := m.get(t.Context(), name); err != nil {
					misses++
					m.put(t, name, random(name, 128<<10))
				}
			}
			if misses >= missing && run > 1 {
				t.Fatalf("run %d misses %d, as the one before", run, misses)
			}
			missing = misses
			left := m.Close(12 * time.Second)
			said := strings.Join(m.warnings(), "")
			if left != strings.Contains(said, "LARDER_CLOSE_TIMEOUT (12s) is over") {
				t.Errorf("run %d: left is %v, and larder says: %s", run, left, said)
			}
			if run == 1 && len(manifest(t, store, profile).Entries) == 0 {
				t.Error("nothing was published by the first run")
			}
		}
	})
}

// A body that takes longer than all the time keeps nothing else from being published, run
// after run.
func TestBodyThatNeverFits(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		store := backendtest.Memory()
		first := newMachine(t, t.TempDir(), store) // without a profile, so it publishes nothing
		var names []string
		for i := range 16 {
			names = append(names, fmt.Sprint(i))
			first.put(t, names[i], random(names[i], 16<<10))
		}
		first.Close(time.Minute)

		m := newMachine(t, t.TempDir(), narrow{store, 100 << 10, make(chan struct{}, 1)}, under(profile))
		m.put(t, "large", random("large", 3<<20))
		for _, name := range names {
			m.wantHit(t, name, random(name, 16<<10))
		}
		time.Sleep(10 * time.Second) // while the large one is being uploaded
		if !m.Close(12 * time.Second) {
			t.Fatal("nothing is left: this test shows nothing")
		}
		if said := strings.Join(m.warnings(), ""); !strings.Contains(said, "Entries left to upload: 1 (3.0 MiB), to publish: 1. ") {
			t.Errorf("larder says: %s", said)
		}
		if n := len(manifest(t, store, profile).Entries); n != len(names) {
			t.Errorf("%d entries in the manifest, want %d", n, len(names))
		}
	})
}

// Nor does it keep smaller ones from being uploaded.
func TestSmallBodiesPassALargeOne(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		store := backendtest.Memory()
		slow := narrow{store, 100 << 10, make(chan struct{}, 1)}
		m := newMachine(t, t.TempDir(), slow, under(profile))
		m.put(t, "large", random("large", 16<<20))
		time.Sleep(time.Second) // its upload is under way
		var names []string
		for i := range 8 {
			names = append(names, fmt.Sprint(i))
			m.put(t, names[i], random(names[i], 8<<10))
		}
		if !m.Close(3 * time.Second) {
			t.Error("nothing is left")
		}
		for _, name := range names {
			body, _, err := store.Get(t.Context(), key(name), backend.Range{})
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			body.Close()
		}
	})
}

// What compresses well, and so seems too much for the link, is published while there is time.
func TestPublishedWhileThereIsTime(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		store := backendtest.Memory()
		m := newMachine(t, t.TempDir(), narrow{store, 1000, make(chan struct{}, 1)}, under(profile))
		const n = 10
		for i := range n {
			name := fmt.Sprint(i)
			m.put(t, name, strings.Repeat(name, 100<<10))
		}
		if m.Close(5 * time.Minute) {
			t.Error("something is left")
		}
		if got := len(manifest(t, store, profile).Entries); got != n {
			t.Errorf("%d entries in the manifest, want %d", got, n)
		}
	})
}

// A publication is done before packs are rewritten.
func TestPublicationComesBeforeCompaction(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		store := backendtest.Memory()
		var names []string
		add := func(store backend.Store, i int) bool {
			m := newMachine(t, t.TempDir(), store, under(profile))
			rebuild(t, m, names...)
			names = append(names, fmt.Sprint("package ", i))
			build(t, m, names[i])
			return m.Close(time.Second)
		}
		for i := range 3 {
			if add(store, i) {
				t.Fatal("something is left")
			}
		}
		packs := 0
		stuck := backendtest.Faulty(store, func(op, key string) backendtest.Fault {
			if op == "put" && strings.Contains(key, "/p/") {
				packs++
				return backendtest.Fault{Hang: packs > 1}
			}
			return backendtest.Fault{}
		})
		if add(stuck, 3) {
			t.Error("something is left")
		}
		if packs != 2 {
			t.Fatalf("%d packs were put: this test shows nothing", packs)
		}
		if n := len(manifest(t, store, profile).Packs); n != 4 {
			t.Errorf("the manifest names %d packs", n)
		}
		m := newMachine(t, t.TempDir(), store, under(profile))
		defer m.Close(0)
		rebuild(t, m, names...)
		if s := m.stats.Summary(); s.RemoteHits != 0 || s.Misses != 0 {
			t.Errorf("stats: %+v", s)
		}
	})
}

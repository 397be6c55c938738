package backend_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/backend/backendtest"
)

// all puts every decorator around s, in the order of the package's documentation.
func all(s backend.Store, counters *backend.Counters, log func(backend.Record)) backend.Store {
	s = backend.WithLatency(s, time.Microsecond)
	s = backend.WithBandwidth(s, 1<<40)
	s = backend.WithLog(s, log)
	s = backend.WithCounters(s, counters)
	s = backend.WithTimeout(s, time.Minute)
	s = backend.WithBreaker(s, backend.Breaker{Faults: 5, Window: time.Second, Cooldown: time.Minute})
	s = backend.WithLimit(s, 16)
	s = backend.WithRetry(s, backend.Retry{Backoff: time.Millisecond, MaxBackoff: time.Second, Patience: time.Minute})
	return backend.WithPrefix(s, "/some/prefix/")
}

// TestDecoratedStoreIsAStore runs the drivers' suite on a store with all decorators.
func TestDecoratedStoreIsAStore(t *testing.T) {
	backendtest.Run(t, func(t *testing.T) backend.Store {
		return all(backendtest.Memory(), new(backend.Counters), func(backend.Record) {})
	})
}

func TestLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := backend.WithLatency(faulty(t, backendtest.Fault{}), time.Second)
		s := backend.WithLimit(inner, 4)
		start := time.Now()
		var group sync.WaitGroup
		for range 20 {
			for _, request := range requests {
				group.Go(func() {
					if err := request(t.Context(), s); err != nil && !errors.Is(err, backend.ErrNotFound) {
						t.Error(err)
					}
				})
			}
		}
		group.Wait()
		if took := time.Since(start); took < 20*time.Second { // 80 requests, 4 at once
			t.Errorf("took %v", took)
		}
	})
}

func TestLimitCountsBodiesThatAreRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := backend.WithLimit(faulty(t, backendtest.Fault{}), 1)
		unread, _, err := s.Get(t.Context(), "key", backend.Range{})
		if err != nil {
			t.Fatal(err)
		}
		defer unread.Close()
		body, _, err := s.Get(t.Context(), "key", backend.Range{})
		if err != nil {
			t.Fatalf("a get beside a body that nobody reads: %v", err)
		}
		if _, err := body.Read(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		gone := errors.New("gone")
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, gone)
		defer cancel()
		if _, err := get(ctx, s, "key"); !errors.Is(err, gone) {
			t.Errorf("a get beside a body that is read: %v", err)
		}
		body.Close()
		body.Close()
		for range 2 {
			if _, err := get(t.Context(), s, "key"); err != nil {
				t.Error(err)
			}
		}
		if data, err := io.ReadAll(unread); string(data) != "data" || err != nil {
			t.Errorf("the other body: %q, %v", data, err)
		}
	})
}

// TestLimitGivesWay has a store that refuses some requests while it is busy, and counts how
// many of them run at once.
func TestLimitGivesWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		busy := true
		gauge := &gauge{Store: backendtest.Faulty(faulty(t, backendtest.Fault{}), func(op, key string) backendtest.Fault {
			if busy {
				return backendtest.Fault{Delay: time.Second, Err: &backend.Busy{}}
			}
			return backendtest.Fault{Delay: time.Second}
		})}
		s := backend.WithLimit(gauge, 16)
		if most := gauge.during(t, s, 16); most != 16 {
			t.Errorf("%d at once to begin with, want 16", most)
		}
		if most := gauge.during(t, s, 16); most != 8 {
			t.Errorf("%d at once after the store was busy, want 8", most)
		}
		gauge.during(t, s, 16)
		if most := gauge.during(t, s, 16); most != 1 {
			t.Errorf("%d at once although the store stays busy, want 1", most)
		}
		busy = false
		if most := gauge.during(t, s, 3); most > 2 {
			t.Errorf("%d at once for a store that was busy", most)
		}
		gauge.during(t, s, 200)
		if most := gauge.during(t, s, 50); most != 16 {
			t.Errorf("%d at once after many answers, want 16", most)
		}
	})
}

// gauge measures how many gets run at once.
type gauge struct {
	backend.Store
	now, most atomic.Int64
}

func (g *gauge) Get(ctx context.Context, key string, r backend.Range) (io.ReadCloser, backend.Object, error) {
	now := g.now.Add(1)
	defer g.now.Add(-1)
	for most := g.most.Load(); now > most && !g.most.CompareAndSwap(most, now); most = g.most.Load() {
	}
	return g.Store.Get(ctx, key, r)
}

// during returns how many of n gets run at once.
func (g *gauge) during(t *testing.T, s backend.Store, n int) int64 {
	g.most.Store(0)
	var group sync.WaitGroup
	for range n {
		group.Go(func() { get(t.Context(), s, "key") })
	}
	group.Wait()
	return g.most.Load()
}

func TestLimitLetsAListsCallerAsk(t *testing.T) {
	s := backend.WithLimit(faulty(t, backendtest.Fault{}), 1)
	for range 2 {
		for obj, err := range s.List(t.Context(), "") {
			if err != nil {
				t.Fatal(err)
			}
			if _, err := get(t.Context(), s, obj.Key); err != nil {
				t.Error(err)
			}
			break
		}
	}
}

func TestLatency(t *testing.T) {
	for name, request := range requests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := backend.WithLatency(faulty(t, backendtest.Fault{}), time.Second)
				start := time.Now()
				if err := request(t.Context(), s); err != nil {
					t.Error(err)
				}
				if took := time.Since(start); took != time.Second {
					t.Errorf("took %v", took)
				}
				ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
				defer cancel()
				if err := request(ctx, s); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("got %v", err)
				}
			})
		})
	}
}

func TestBandwidth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const size, at = 1 << 20, 1 << 16 // a body takes 16 seconds
		s := backend.WithBandwidth(backendtest.Memory(), at)
		start := time.Now()
		for _, key := range []string{"a", "b"} {
			backendtest.PutBytes(t, s, key, make([]byte, size))
		}
		put := time.Since(start)
		var group sync.WaitGroup
		for _, key := range []string{"a", "b"} {
			group.Go(func() {
				body, _, err := s.Get(t.Context(), key, backend.Range{})
				if err != nil {
					t.Error(err)
					return
				}
				defer body.Close()
				if n, err := io.Copy(io.Discard, body); n != size || err != nil {
					t.Errorf("read %d bytes, %v", n, err)
				}
			})
		}
		group.Wait()
		for what, took := range map[string]time.Duration{"put": put, "get": time.Since(start) - put} {
			if took < 31*time.Second || took > 32*time.Second {
				t.Errorf("%s took %v", what, took)
			}
		}

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		body, _, err := s.Get(ctx, "a", backend.Range{})
		if err != nil {
			t.Fatal(err)
		}
		defer body.Close()
		if _, err := io.Copy(io.Discard, body); err == nil {
			t.Error("read in spite of the deadline")
		}
	})
}

func TestReadOnly(t *testing.T) {
	inner := faulty(t, backendtest.Fault{})
	s := backend.ReadOnly(inner)
	for name, request := range requests {
		want := error(nil)
		if name == "put" || name == "delete" {
			want = backend.ErrReadOnly
		}
		if err := request(t.Context(), s); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", name, err, want)
		}
	}
	if n, err := list(t.Context(), inner); n != 1 || err != nil {
		t.Errorf("%d objects left, %v", n, err)
	}
}

func TestPrefix(t *testing.T) {
	inner := backendtest.Memory()
	for _, key := range []string{"a/b", "a/prefix", "a/prefix/1", "a/prefixes/2"} {
		backendtest.PutBytes(t, inner, key, []byte(key))
	}
	s := backend.WithPrefix(inner, "/a/prefix/")
	if obj := backendtest.PutBytes(t, s, "3", nil); obj.Key != "3" {
		t.Errorf("put returned key %q", obj.Key)
	}
	var keys []string
	for obj, err := range s.List(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, obj.Key)
	}
	slices.Sort(keys)
	if !slices.Equal(keys, []string{"1", "3"}) {
		t.Errorf("listed %q", keys)
	}
	if err := s.Delete(t.Context(), "1", ""); err != nil {
		t.Error(err)
	}
	if _, err := get(t.Context(), inner, "a/prefix/1"); !errors.Is(err, backend.ErrNotFound) {
		t.Errorf("after the delete: %v", err)
	}
	if backend.WithPrefix(inner, "//") != inner {
		t.Error("an empty prefix decorates")
	}
}

func TestCounters(t *testing.T) {
	inner := backendtest.Memory()
	backendtest.PutBytes(t, inner, "key", []byte("data"))
	var counters backend.Counters
	s := backend.WithCounters(failing(inner,
		backendtest.Fault{}, backendtest.Fault{}, backendtest.Fault{Break: errFault}, backendtest.Fault{Err: errFault},
	), &counters)
	get(t.Context(), s, "key")           // 4 in
	get(t.Context(), s, "missing")       // an answer
	get(t.Context(), s, "key")           // 2 in, then it breaks
	get(t.Context(), s, "key")           // fails
	put(t.Context(), s, "new", "123456") // 6 out
	list(t.Context(), s)
	s.Delete(t.Context(), "new", "")
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	get(gone, s, "key")
	want := backend.Counts{Requests: 8, Answers: 6, Faults: 1, BytesIn: 6, BytesOut: 6}
	if got := counters.Snapshot(); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestLog(t *testing.T) {
	var trace strings.Builder
	s := backend.WithLog(failing(backendtest.Memory(),
		backendtest.Fault{Err: errFault}, backendtest.Fault{Err: backend.ErrDenied}),
		func(r backend.Record) { fmt.Fprintln(&trace, r) })
	id := strings.Repeat("5d41402abc4b2a76", 4)
	key := "v1/main/a/5d/" + id

	get(t.Context(), s, "key")
	put(t.Context(), s, "key", "x")
	put(t.Context(), s, key, "data")
	get(t.Context(), s, key)
	for _, r := range []backend.Range{{Offset: 1, Length: 2}, {Offset: 3}, {Length: 1}} {
		body, _, err := s.Get(t.Context(), key, r)
		if err != nil {
			t.Fatal(err)
		}
		body.Read(make([]byte, 10))
		body.Close()
	}
	get(t.Context(), s, "missing")
	opts := backend.OptionsOf([]byte("data"))
	opts.If.Absent = true
	s.Put(t.Context(), key, bytes.NewReader([]byte("data")), opts)
	opts.If = backend.Condition{Version: "old"}
	s.Put(t.Context(), key, bytes.NewReader([]byte("data")), opts)
	opts = backend.OptionsOf([]byte("other"))
	s.Put(t.Context(), key, bytes.NewReader([]byte("wrong")), opts)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	get(gone, s, key)
	list(t.Context(), s)
	s.Delete(t.Context(), key, "")

	const want = `get key: failed
put key: denied
put v1/main/a/5d/5d41402a…: ok, 4
get v1/main/a/5d/5d41402a…: ok, 4
get v1/main/a/5d/5d41402a… 1+2: ok, 2
get v1/main/a/5d/5d41402a… 3+: ok, 1
get v1/main/a/5d/5d41402a… 0+1: ok, 1
get missing: not found
put v1/main/a/5d/5d41402a… if absent: conflict
put v1/main/a/5d/5d41402a… if unchanged: conflict
put v1/main/a/5d/5d41402a…: wrong digest
get v1/main/a/5d/5d41402a…: cancelled
list : ok, 1
delete v1/main/a/5d/5d41402a…: ok
`
	if got := trace.String(); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

package tier

import (
	"context"
	"errors"
	"io"
	"math"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/backend/backendtest"
)

// slow has each request take a second, so all that is to begin meanwhile has begun.
func slow(string, string) backendtest.Fault { return backendtest.Fault{Delay: time.Minute} }

// TestReaders: a thousand readers of an object that the tier does not have cost one request, and if
// they read parts of it, no more than it has blocks.
func TestReaders(t *testing.T) {
	t.Parallel()
	data := text(2*blockSize + 1)
	tests := map[string]struct {
		data   string
		ranged func(i int) backend.Range
		most   int // requests
	}{
		"whole": {data[:100_000], func(int) backend.Range { return backend.Range{} }, 1},
		"parts": {data, func(i int) backend.Range { return backend.Range{Offset: int64(i) * 2000, Length: 3000} }, 3},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, 1<<30)
				r.store("k", test.data)
				r.faults(slow)
				var group sync.WaitGroup
				for i := range 1000 {
					ranged := test.ranged(i)
					want := test.data[ranged.Offset:endOf(ranged, int64(len(test.data)))]
					group.Go(func() { wantRange(t, r.Store, "k", ranged, want) })
				}
				group.Wait()
				if n := r.count("get"); n > test.most {
					t.Errorf("%d requests", n)
				}
				r.want("k", test.data)
				r.close()
			})
		})
	}
}

// likeBuckets answers ranges behind the end as drivers of buckets do: without a word about the
// object.
type likeBuckets struct{ backend.Store }

func (s likeBuckets) Get(ctx context.Context, key string, r backend.Range) (io.ReadCloser, backend.Object, error) {
	body, obj, err := s.Store.Get(ctx, key, r)
	if err == nil && r != (backend.Range{}) && r.Offset >= obj.Size {
		obj = backend.Object{Key: key}
	}
	return body, obj, err
}

// failsBehindEnd fails there.
type failsBehindEnd struct{ backend.Store }

func (s failsBehindEnd) Get(ctx context.Context, key string, r backend.Range) (io.ReadCloser, backend.Object, error) {
	body, obj, err := s.Store.Get(ctx, key, r)
	if err == nil && r != (backend.Range{}) && r.Offset >= obj.Size {
		body.Close()
		return nil, backend.Object{}, errors.New("no such range")
	}
	return body, obj, err
}

// TestRanges: whatever range is asked for first, it is answered, and the whole object is right
// afterwards.
func TestRanges(t *testing.T) {
	t.Parallel()
	ranges := []backend.Range{
		{}, {Length: 1}, {Offset: 1}, {Offset: 5, Length: 10}, {Offset: blockSize - 1, Length: 2}, {Offset: blockSize},
		{Offset: 2*blockSize - 5}, {Offset: 2*blockSize - 6}, {Offset: 9 * blockSize}, {Offset: 9 * blockSize, Length: 1},
		{Length: math.MaxInt64}, {Offset: 1, Length: math.MaxInt64}, {Offset: math.MaxInt64}, {Offset: math.MaxInt64 - 1, Length: 1},
		{Offset: blockSize, Length: math.MaxInt64 - 10}, {Offset: math.MaxInt64, Length: math.MaxInt64},
	}
	for name, decorate := range map[string]func(backend.Store) backend.Store{
		"as buckets": func(s backend.Store) backend.Store { return likeBuckets{s} },
		"as others":  func(s backend.Store) backend.Store { return failsBehindEnd{s} },
	} {
		for _, size := range []int{0, 2*blockSize - 5} {
			data := text(size)
			for _, ranged := range ranges {
				r := newRig(t, 1<<30)
				version := r.store("k", data)
				r.Store.store = decorate(r.Store.store)
				want := ""
				if ranged.Offset < int64(size) {
					want = data[ranged.Offset:endOf(ranged, int64(size))]
				}
				for range 2 {
					if got := wantRange(t, r.Store, "k", ranged, want); got != version {
						t.Errorf("%s, %d bytes, %v: version %q, want %q", name, size, ranged, got, version)
					}
				}
				r.want("k", data)
				r.close()
			}
		}
	}
}

// TestBrokenBodies: a body of the store that is not what it should be is an error or is right, and
// the next reader is well.
func TestBrokenBodies(t *testing.T) {
	tests := map[string]struct {
		fault backendtest.Fault
		want  error // nil: no error
	}{
		"short":     {backendtest.Fault{Truncate: true}, io.ErrUnexpectedEOF},
		"breaks":    {backendtest.Fault{Break: errDown}, errDown},
		"long":      {backendtest.Fault{Endless: true}, nil},
		"no answer": {backendtest.Fault{Err: errDown}, errDown},
		"denied":    {backendtest.Fault{Err: backend.ErrDenied}, backend.ErrDenied},
		"none":      {backendtest.Fault{Err: backend.ErrNotFound}, backend.ErrNotFound},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, 1<<30)
				data := text(3*blockSize + 7)
				r.store("k", data)
				test.fault.Delay = time.Second
				r.faults(func(string, string) backendtest.Fault { return test.fault })
				var group sync.WaitGroup
				for range 10 {
					group.Go(func() {
						got, _, err := get(t.Context(), r.Store, "k", backend.Range{})
						if !errors.Is(err, test.want) || err == nil && got != data {
							t.Errorf("got %d bytes, %v", len(got), err)
						}
					})
				}
				group.Wait()
				r.faults(nil)
				time.Sleep(2 * fresh)
				r.want("k", data)
				r.reopen()
				r.want("k", data)
				r.close()
			})
		})
	}
}

// TestReaderOfEndedFlight: a reader that comes as a flight ends that nobody waited for begins another.
func TestReaderOfEndedFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 1<<30)
		data := text(2*blockSize + 1)
		r.store("k", data)
		wantRange(t, r.Store, "k", backend.Range{Length: 1}, data[:1])
		o := r.objects["k"]
		r.Store.mu.Lock()
		f := r.expect(o, 1, 3)
		r.Store.mu.Unlock()
		var group sync.WaitGroup
		group.Go(func() { r.want("k", data) })
		synctest.Wait()
		r.landed(o, f, 1, 3, errUnread)
		group.Wait()
		r.close()
	})
}

// sameVersion calls all versions alike.
type sameVersion struct{ backend.Store }

func (s sameVersion) Get(ctx context.Context, key string, r backend.Range) (io.ReadCloser, backend.Object, error) {
	body, obj, err := s.Store.Get(ctx, key, r)
	obj.Version = "v"
	return body, obj, err
}

// TestReplacedMeanwhile: blocks of two versions are never mixed, nor those of two sizes.
func TestReplacedMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 1<<30)
		r.Store.store = sameVersion{r.Store.store}
		r.store("k", text(3*blockSize))
		wantRange(t, r.Store, "k", backend.Range{Length: 1}, text(1))
		r.store("k", text(3*blockSize+1))
		if _, _, err := get(t.Context(), r.Store, "k", backend.Range{}); !errors.Is(err, errChanged) {
			t.Error(err)
		}
		r.want("k", text(3*blockSize+1))
		r.close()
	})
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 1<<30)
		old, current := text(3*blockSize), text(4 * blockSize)[blockSize:]
		r.store("k", old)
		wantRange(t, r.Store, "k", backend.Range{Length: 1}, old[:1])
		r.store("k", current)
		if got, _, err := get(t.Context(), r.Store, "k", backend.Range{}); !errors.Is(err, errChanged) || got != old[:len(got)] {
			t.Errorf("got %d bytes, %v", len(got), err)
		}
		r.want("k", current)
		r.close()
	})
}

// TestCancelled: who gives up ends neither a question nor a flight that others wait for.
func TestCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 1<<30)
		data := text(2 * blockSize)
		r.store("k", data)
		r.faults(slow)
		ctx, cancel := context.WithCancel(t.Context())
		var group sync.WaitGroup
		first := func() {
			if _, _, err := get(ctx, r.Store, "k", backend.Range{Length: 1}); !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		}
		group.Go(first)
		synctest.Wait()
		group.Go(func() { r.want("k", data) })
		synctest.Wait()
		cancel()
		group.Wait()
		if n := r.count("get"); n != 2 { // the question for a byte, and the rest
			t.Errorf("%d requests", n)
		}
		r.close()
	})
}

// TestUnread: a flight that nobody waits for ends after a while, and a reader that comes later gets all.
func TestUnread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 1<<30)
		data := text((maxUnread + 2) * blockSize)
		r.store("k", data)
		ctx, cancel := context.WithCancel(t.Context())
		r.faults(slow)
		var group sync.WaitGroup
		group.Go(func() {
			if _, _, err := r.Get(ctx, "k", backend.Range{}); !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		})
		synctest.Wait()
		cancel()
		group.Wait()
		time.Sleep(2 * time.Minute)
		if got, want := r.Stats().Bytes, int64(maxUnread*blockSize+perObject); got != want {
			t.Errorf("the tier has %d bytes, want %d", got, want)
		}
		r.check()
		r.want("k", data)
		r.close()
	})
}

// TestCloseWhileRead: readers that wait for the store fail when the tier is closed.
func TestCloseWhileRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 1<<30)
		data := text(3 * blockSize)
		r.store("k", data)
		wantRange(t, r.Store, "k", backend.Range{Length: 1}, data[:1])
		late, _, err := r.Get(t.Context(), "k", backend.Range{})
		if err != nil {
			t.Fatal(err)
		}
		r.faults(func(string, string) backendtest.Fault { return backendtest.Fault{Hang: true} })
		var group sync.WaitGroup
		for _, key := range []string{"k", "other"} {
			group.Go(func() {
				if _, _, err := get(t.Context(), r.Store, key, backend.Range{}); err == nil {
					t.Errorf("%s: no error", key)
				}
			})
		}
		synctest.Wait()
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		group.Wait()
		if _, err := io.ReadAll(late); err == nil {
			t.Error("a body that is read late: no error")
		}
		late.Close()
		r.check()
		if _, _, err := get(t.Context(), r.Store, "third", backend.Range{}); err == nil {
			t.Error("a late Get: no error")
		}
	})
}

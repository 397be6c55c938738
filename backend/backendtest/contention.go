package backendtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"testing"

	"github.com/larderbuild/larder/backend"
)

// This file has the suite's tests of writers that compete, of requests that the
// caller gives up, and of many users at once.

func testIfAbsent(t *testing.T, s store) {
	absent := backend.Condition{Absent: true}
	if _, err := s.putIf(t.Context(), "key", []byte("first"), absent); err != nil {
		t.Fatal(err)
	}
	if _, err := s.putIf(t.Context(), "key", []byte("second"), absent); !only(err, backend.ErrConflict) {
		t.Errorf("put over an object: %v, want ErrConflict", err)
	}
	s.expect(t, "key", []byte("first"))
}

func testIfVersion(t *testing.T, s store) {
	if _, err := s.putIf(t.Context(), "key", []byte("x"), backend.Condition{Version: s.put(t, "other", nil).Version}); !only(err, backend.ErrConflict) {
		t.Errorf("put over nothing: %v, want ErrConflict", err)
	}
	s.expectMissing(t, "key")

	first := s.put(t, "key", []byte("first"))
	second, err := s.putIf(t.Context(), "key", []byte("second"), backend.Condition{Version: first.Version})
	if err != nil {
		t.Fatalf("put over the version that is there: %v", err)
	}
	if _, err := s.putIf(t.Context(), "key", []byte("third"), backend.Condition{Version: first.Version}); !only(err, backend.ErrConflict) {
		t.Errorf("put over a version that is gone: %v, want ErrConflict", err)
	}
	if got := s.expect(t, "key", []byte("second")); got.Version != second.Version {
		t.Errorf("get gives version %q, put gave %q", got.Version, second.Version)
	}
	for obj, err := range s.List(t.Context(), "key") {
		if err != nil || obj.Version != second.Version {
			t.Errorf("list gives version %q and %v, put gave %q", obj.Version, err, second.Version)
		}
	}
}

// testOneWinner tests that of 16 writers with the same condition exactly one
// succeeds, first for no object and then for several versions of it.
func testOneWinner(t *testing.T, s store) {
	cond := backend.Condition{Absent: true}
	for round := range 4 {
		var mu sync.Mutex
		var winners []backend.Object
		var won []byte
		var group sync.WaitGroup
		for writer := range 16 {
			group.Go(func() {
				data := fmt.Appendf(nil, "round %d writer %d", round, writer)
				obj, err := s.putIf(t.Context(), "key", data, cond)
				mu.Lock()
				defer mu.Unlock()
				switch {
				case err == nil:
					winners, won = append(winners, obj), data
				case !only(err, backend.ErrConflict):
					t.Errorf("loser's error: %v, want ErrConflict", err)
				}
			})
		}
		group.Wait()
		if len(winners) != 1 {
			t.Fatalf("%d winners, want 1", len(winners))
		}
		s.expect(t, "key", won)
		cond = backend.Condition{Version: winners[0].Version}
	}
}

func testNoConditions(t *testing.T, s store) {
	for _, cond := range []backend.Condition{{Absent: true}, {Version: "version"}} {
		if _, err := s.putIf(t.Context(), "key", []byte("x"), cond); !only(err, backend.ErrNoConditions) {
			t.Errorf("put on a condition: %v, want ErrNoConditions", err)
		}
		s.expectMissing(t, "key")
	}
}

var errGivenUp = errors.New("given up")

func testCancelledBefore(t *testing.T, s store) {
	s.put(t, "key", []byte("x"))
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errGivenUp)
	_, _, err := s.get(ctx, "key", backend.Range{})
	if !errors.Is(err, errGivenUp) {
		t.Errorf("get: %v", err)
	}
	if _, err := s.putIf(ctx, "new", []byte("x"), backend.Condition{}); !errors.Is(err, errGivenUp) {
		t.Errorf("put: %v", err)
	}
	if !s.Traits().Unlisted {
		if err := s.Delete(ctx, "key", ""); !errors.Is(err, errGivenUp) {
			t.Errorf("delete: %v", err)
		}
		err = nil
		for _, err = range s.List(ctx, "") {
		}
		if !errors.Is(err, errGivenUp) {
			t.Errorf("list: %v", err)
		}
	}
	s.expect(t, "key", []byte("x"))
	s.expectMissing(t, "new")
}

func testCancelledDuringBody(t *testing.T, s store) {
	s.put(t, "key", random(8<<20))
	ctx, cancel := context.WithCancelCause(t.Context())
	body, _, err := s.Get(ctx, "key", backend.Range{})
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	if _, err := io.ReadFull(body, make([]byte, 1000)); err != nil {
		t.Fatal(err)
	}
	cancel(errGivenUp)
	if _, err := io.Copy(io.Discard, body); !errors.Is(err, errGivenUp) {
		t.Errorf("read after cancel: %v", err)
	}
}

// cancelling is a body that cancels its own Put when half of it has been read.
type cancelling struct {
	*bytes.Reader
	cancel context.CancelCauseFunc
}

func (c cancelling) Read(p []byte) (int, error) {
	if int64(c.Len()) < c.Size()/2 {
		c.cancel(errGivenUp)
	}
	return c.Reader.Read(p)
}

func testCancelledDuringPut(t *testing.T, s store) {
	data := random(8 << 20)
	ctx, cancel := context.WithCancelCause(t.Context())
	_, err := s.Put(ctx, "key", cancelling{bytes.NewReader(data), cancel}, backend.OptionsOf(data))
	if !errors.Is(err, errGivenUp) {
		t.Errorf("put: %v", err)
	}
	s.expectMissing(t, "key")
	s.expectList(t, "")
}

func testClosedHalfway(t *testing.T, s store) {
	data := random(8 << 20)
	s.put(t, "key", data)
	for range 8 {
		body, _, err := s.Get(t.Context(), "key", backend.Range{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(body, make([]byte, 1<<20)); err != nil {
			t.Error(err)
		}
		if err := body.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	}
	s.expect(t, "key", data)
}

func testManyUsers(t *testing.T, s store) {
	shared := random(100_000)
	s.put(t, "shared", shared)
	var group sync.WaitGroup
	for user := range 64 {
		group.Go(func() {
			key := fmt.Sprintf("own/%d", user)
			own := random(user * 1000)
			for range 4 {
				if _, err := s.putIf(t.Context(), key, own, backend.Condition{}); err != nil {
					t.Errorf("put: %v", err)
				}
				if got, _, err := s.get(t.Context(), key, backend.Range{}); err != nil || !bytes.Equal(got, own) {
					t.Errorf("get own: %d bytes, %v", len(got), err)
				}
				if got, _, err := s.get(t.Context(), "shared", backend.Range{Offset: 1000}); err != nil || !bytes.Equal(got, shared[1000:]) {
					t.Errorf("get shared: %d bytes, %v", len(got), err)
				}
			}
			s.remove(t, key)
		})
	}
	group.Wait()
	s.expectList(t, "", "shared")
}

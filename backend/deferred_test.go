package backend_test

import (
	"context"
	"errors"
	"io"
	"sync"
	"testing"

	"github.com/larderbuild/larder/backend"
)

// closeCounter is a store of which tests use only Close and Delete.
type closeCounter struct {
	backend.Store
	closed int
}

func (c *closeCounter) Delete(context.Context, string, string) error { return nil }
func (c *closeCounter) Close() error                                 { c.closed++; return nil }

func TestDeferredOpensOnceAndOnlyWhenUsed(t *testing.T) {
	opens, inner := 0, &closeCounter{}
	open := func(context.Context) (backend.Store, error) { opens++; return inner, nil }

	unused := backend.Deferred(backend.Traits{}, open)
	if err := unused.Close(); err != nil || opens != 0 {
		t.Fatalf("closing an unused store: %v, %d opens", err, opens)
	}

	used := backend.Deferred(backend.Traits{}, open)
	var users sync.WaitGroup
	for range 20 {
		users.Go(func() {
			if err := used.Delete(t.Context(), "key", ""); err != nil {
				t.Error(err)
			}
		})
	}
	users.Wait()
	if err := used.Close(); err != nil || opens != 1 || inner.closed != 1 {
		t.Errorf("%v, %d opens, %d closes; want one of each", err, opens, inner.closed)
	}
}

func TestDeferredOpenFails(t *testing.T) {
	refused := errors.New("refused")
	s := backend.Deferred(backend.Traits{}, func(context.Context) (backend.Store, error) { return nil, refused })
	defer s.Close()
	for range 2 {
		if _, _, err := s.Get(t.Context(), "key", backend.Range{}); !errors.Is(err, refused) {
			t.Errorf("error %v", err)
		}
	}
}

func TestDeferredWaitsNoLongerThanItsCaller(t *testing.T) {
	release := make(chan struct{})
	s := backend.Deferred(backend.Traits{}, func(context.Context) (backend.Store, error) {
		<-release
		return nil, io.ErrUnexpectedEOF
	})
	gone := errors.New("gone")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(gone)
	if err := s.Delete(ctx, "key", ""); !errors.Is(err, gone) {
		t.Errorf("error %v", err)
	}
	if err := s.Close(); err != nil { // does not wait either
		t.Error(err)
	}
	close(release)
}

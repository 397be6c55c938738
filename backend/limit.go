package backend

import (
	"context"
	"io"
	"iter"

	"golang.org/x/sync/semaphore"
)

// WithLimit returns a store that sends at most n requests to s at once. Further
// requests wait, and are sent in the order in which they came; a request fails
// when its context is done. A Get occupies a slot until its body is closed. A List
// occupies one while it waits for the next object, but not while its caller
// handles an object.
func WithLimit(s Store, n int) Store {
	return &limited{s, semaphore.NewWeighted(int64(n))}
}

type limited struct {
	Store
	slots *semaphore.Weighted
}

func (s *limited) acquire(ctx context.Context, op, key string) error {
	return Wrap(ctx, op, key, s.slots.Acquire(ctx, 1))
}

func (s *limited) Get(ctx context.Context, key string, r Range) (io.ReadCloser, Object, error) {
	if err := s.acquire(ctx, "get", key); err != nil {
		return nil, Object{}, err
	}
	body, obj, err := s.Store.Get(ctx, key, r)
	if err != nil {
		s.slots.Release(1)
		return nil, Object{}, err
	}
	return observe(body, func(int64, error) { s.slots.Release(1) }), obj, nil
}

func (s *limited) Put(ctx context.Context, key string, body io.ReadSeeker, opts PutOptions) (Object, error) {
	if err := s.acquire(ctx, "put", key); err != nil {
		return Object{}, err
	}
	defer s.slots.Release(1)
	return s.Store.Put(ctx, key, body, opts)
}

func (s *limited) Delete(ctx context.Context, key string) error {
	if err := s.acquire(ctx, "delete", key); err != nil {
		return err
	}
	defer s.slots.Release(1)
	return s.Store.Delete(ctx, key)
}

func (s *limited) List(ctx context.Context, prefix string) iter.Seq2[Object, error] {
	return func(yield func(Object, error) bool) {
		if err := s.acquire(ctx, "list", prefix); err != nil {
			yield(Object{}, err)
			return
		}
		for obj, err := range s.Store.List(ctx, prefix) {
			s.slots.Release(1)
			if !yield(obj, err) || err != nil {
				return
			}
			if err := s.acquire(ctx, "list", prefix); err != nil {
				yield(Object{}, err)
				return
			}
		}
		s.slots.Release(1)
	}
}

package backend

import (
	"context"
	"fmt"
	"io"
	"iter"
	"time"
)

// WithLatency returns a store that waits d before each request to s. A List waits
// once. It serves to measure what a distant store would cost.
func WithLatency(s Store, d time.Duration) Store { return &delayed{s, d} }

type delayed struct {
	Store
	delay time.Duration
}

func (s *delayed) wait(ctx context.Context, op, key string) error {
	if err := sleep(ctx, s.delay); err != nil {
		return fmt.Errorf("%s %s: %w", op, key, err)
	}
	return nil
}

func (s *delayed) Get(ctx context.Context, key string, r Range) (io.ReadCloser, Object, error) {
	if err := s.wait(ctx, "get", key); err != nil {
		return nil, Object{}, err
	}
	return s.Store.Get(ctx, key, r)
}

func (s *delayed) Put(ctx context.Context, key string, body io.ReadSeeker, opts PutOptions) (Object, error) {
	if err := s.wait(ctx, "put", key); err != nil {
		return Object{}, err
	}
	return s.Store.Put(ctx, key, body, opts)
}

func (s *delayed) Delete(ctx context.Context, key, version string) error {
	if err := s.wait(ctx, "delete", key); err != nil {
		return err
	}
	return s.Store.Delete(ctx, key, version)
}

func (s *delayed) List(ctx context.Context, prefix string) iter.Seq2[Object, error] {
	return func(yield func(Object, error) bool) {
		if err := s.wait(ctx, "list", prefix); err != nil {
			yield(Object{}, err)
			return
		}
		s.Store.List(ctx, prefix)(yield)
	}
}

// sleep waits d and returns nil. If ctx is done before, it returns the cause of ctx.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

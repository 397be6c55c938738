package backend

import (
	"context"
	"io"
	"iter"
	"sync/atomic"
)

// Counters counts what was asked of a store. The zero value is ready; it may
// be read while requests run.
type Counters struct {
	requests, errors, bytesIn, bytesOut atomic.Int64
}

// Counts is what Counters stood at, at one moment.
type Counts struct {
	Requests int64 // attempts; a List is one, however many pages it takes
	Errors   int64 // those that failed: no answer, not ended by the caller
	BytesIn  int64 // read from bodies
	BytesOut int64 // of bodies that were put
}

// Snapshot returns the counts so far.
func (c *Counters) Snapshot() Counts {
	return Counts{c.requests.Load(), c.errors.Load(), c.bytesIn.Load(), c.bytesOut.Load()}
}

// WithCounters adds up in c what is asked of s. A Get is counted when it is
// sent, its bytes when its body is closed.
func WithCounters(s Store, c *Counters) Store { return &counted{s, c} }

type counted struct {
	Store
	*Counters
}

func (s *counted) ended(ctx context.Context, err error) {
	if isFault(ctx, err) {
		s.errors.Add(1)
	}
}

func (s *counted) Get(ctx context.Context, key string, r Range) (io.ReadCloser, Object, error) {
	s.requests.Add(1)
	body, obj, err := s.Store.Get(ctx, key, r)
	if err != nil {
		s.ended(ctx, err)
		return nil, Object{}, err
	}
	return observe(body, func(n int64, err error) {
		s.bytesIn.Add(n)
		s.ended(ctx, err)
	}), obj, nil
}

func (s *counted) Put(ctx context.Context, key string, body io.ReadSeeker, opts PutOptions) (Object, error) {
	s.requests.Add(1)
	obj, err := s.Store.Put(ctx, key, body, opts)
	if err == nil {
		s.bytesOut.Add(opts.Size)
	}
	s.ended(ctx, err)
	return obj, err
}

func (s *counted) Delete(ctx context.Context, key string) error {
	s.requests.Add(1)
	err := s.Store.Delete(ctx, key)
	s.ended(ctx, err)
	return err
}

func (s *counted) List(ctx context.Context, prefix string) iter.Seq2[Object, error] {
	return func(yield func(Object, error) bool) {
		s.requests.Add(1)
		for obj, err := range s.Store.List(ctx, prefix) {
			s.ended(ctx, err)
			if !yield(obj, err) {
				return
			}
		}
	}
}

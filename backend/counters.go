package backend

import (
	"context"
	"io"
	"iter"
	"sync/atomic"
)

// Counters counts the requests to a store and the bytes of their bodies. The zero value
// is ready to use. All methods may be called while requests run.
type Counters struct {
	requests, bytesIn, bytesOut atomic.Int64
}

// Counts has the values that [Counters] had at one moment.
type Counts struct {
	Requests int64 // attempts; a List is one, even if it takes several pages
	BytesIn  int64 // bytes read from bodies
	BytesOut int64 // bytes of bodies that were put
}

// Snapshot returns the counts so far.
func (c *Counters) Snapshot() Counts {
	return Counts{c.requests.Load(), c.bytesIn.Load(), c.bytesOut.Load()}
}

// WithCounters returns a store that counts in c the requests to s. It counts a Get when it
// sends the request, and the bytes of the Get when the caller closes the body.
func WithCounters(s Store, c *Counters) Store { return &counted{s, c} }

type counted struct {
	Store
	*Counters
}

func (s *counted) Get(ctx context.Context, key string, r Range) (io.ReadCloser, Object, error) {
	s.requests.Add(1)
	body, obj, err := s.Store.Get(ctx, key, r)
	if err != nil {
		return nil, Object{}, err
	}
	return observe(body, func(n int64, _ error) { s.bytesIn.Add(n) }), obj, nil
}

func (s *counted) Put(ctx context.Context, key string, body io.ReadSeeker, opts PutOptions) (Object, error) {
	s.requests.Add(1)
	obj, err := s.Store.Put(ctx, key, body, opts)
	if err == nil {
		s.bytesOut.Add(opts.Size)
	}
	return obj, err
}

func (s *counted) Delete(ctx context.Context, key string) error {
	s.requests.Add(1)
	return s.Store.Delete(ctx, key)
}

func (s *counted) List(ctx context.Context, prefix string) iter.Seq2[Object, error] {
	return func(yield func(Object, error) bool) {
		s.requests.Add(1)
		s.Store.List(ctx, prefix)(yield)
	}
}

package backend

import (
	"context"
	"errors"
	"io"
	"iter"
	"sync/atomic"
)

// Counters counts the requests to a store and the bytes of their bodies. The zero value
// is ready to use. All methods may be called while requests run.
type Counters struct {
	requests, answers, faults, bytesIn, bytesOut atomic.Int64
}

// Counts has the values that [Counters] had at one moment.
type Counts struct {
	Requests int64 // attempts; a List is one, even if it takes several pages
	Answers  int64 // of these, what the store answered, be it that it refuses the request
	Faults   int64 // of these, what failed for another reason than that the caller gave up
	BytesIn  int64 // bytes read from bodies
	BytesOut int64 // bytes of bodies that were put
}

// Snapshot returns the counts so far.
func (c *Counters) Snapshot() Counts {
	return Counts{c.requests.Load(), c.answers.Load(), c.faults.Load(), c.bytesIn.Load(), c.bytesOut.Load()}
}

// ended counts how a request with ctx ended.
func (c *Counters) ended(ctx context.Context, err error) {
	switch {
	case isAnswer(err), errors.Is(err, ErrDenied):
		c.answers.Add(1)
	case isFault(ctx, err), errors.Is(err, ErrTimeout):
		c.faults.Add(1)
	}
}

// WithCounters returns a store that counts in c the requests to s. It counts a request when
// it sends it, its answer or fault when that comes, and the bytes of a Get when the caller
// closes the body.
func WithCounters(s Store, c *Counters) Store { return &counted{s, c} }

type counted struct {
	Store
	*Counters
}

func (s *counted) Get(ctx context.Context, key string, r Range) (io.ReadCloser, Object, error) {
	s.requests.Add(1)
	body, obj, err := s.Store.Get(ctx, key, r)
	s.ended(ctx, err)
	if err != nil {
		return nil, Object{}, err
	}
	return observe(body, func(n int64, _ error) { s.bytesIn.Add(n) }), obj, nil
}

func (s *counted) Put(ctx context.Context, key string, body io.ReadSeeker, opts PutOptions) (Object, error) {
	s.requests.Add(1)
	obj, err := s.Store.Put(ctx, key, body, opts)
	s.ended(ctx, err)
	if err == nil {
		s.bytesOut.Add(opts.Size)
	}
	return obj, err
}

func (s *counted) Delete(ctx context.Context, key, version string) error {
	s.requests.Add(1)
	err := s.Store.Delete(ctx, key, version)
	s.ended(ctx, err)
	return err
}

func (s *counted) List(ctx context.Context, prefix string) iter.Seq2[Object, error] {
	return func(yield func(Object, error) bool) {
		s.requests.Add(1)
		var last error
		defer func() { s.ended(ctx, last) }()
		for obj, err := range s.Store.List(ctx, prefix) {
			last = err
			if !yield(obj, err) {
				return
			}
		}
	}
}

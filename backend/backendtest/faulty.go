package backendtest

import (
	"context"
	"io"
	"iter"
	"time"

	"github.com/larderbuild/larder/backend"
)

// Fault says what goes wrong with one request. The zero Fault is none. Fields may
// be combined; they take effect in the order in which they stand here.
type Fault struct {
	Delay time.Duration // before the request is sent
	Hang  bool          // the request is never answered
	Err   error         // the request is not sent, and fails with this error
	Lost  error         // the request is carried out, and fails with this error

	// What goes wrong with the body of a Get.
	Flip     bool  // one bit of the first byte is wrong
	Truncate bool  // the body ends after half of its bytes
	Break    error // after half of its bytes reads fail with this error
	Stall    bool  // after half of its bytes reads wait until the context is done
	Endless  bool  // zeros without end follow the body
}

// Faulty returns s with the faults that plan chooses. It calls plan for each
// request, with op ("get", "put", "delete" or "list") and the key, which for a list
// is the prefix. Many goroutines may call plan at once.
func Faulty(s backend.Store, plan func(op, key string) Fault) backend.Store {
	return &faulty{s, plan}
}

type faulty struct {
	backend.Store
	plan func(op, key string) Fault
}

// before waits and fails as f demands before a request is sent.
func (f Fault) before(ctx context.Context, op, key string) error {
	var answer <-chan time.Time // never, for a Hang
	if !f.Hang {
		timer := time.NewTimer(f.Delay)
		defer timer.Stop()
		answer = timer.C
	}
	select {
	case <-answer:
		return backend.Wrap(ctx, op, key, f.Err)
	case <-ctx.Done():
		return backend.Wrap(ctx, op, key, ctx.Err())
	}
}

func (s *faulty) Get(ctx context.Context, key string, r backend.Range) (io.ReadCloser, backend.Object, error) {
	fault := s.plan("get", key)
	if err := fault.before(ctx, "get", key); err != nil {
		return nil, backend.Object{}, err
	}
	body, obj, err := s.Store.Get(ctx, key, r)
	if err != nil {
		return nil, backend.Object{}, err
	}
	if fault.Lost != nil {
		body.Close()
		return nil, backend.Object{}, backend.Wrap(ctx, "get", key, fault.Lost)
	}
	size := max(0, obj.Size-r.Offset)
	if r.Length > 0 {
		size = min(size, r.Length)
	}
	return backend.NewBody(ctx, key, &faultyBody{body, ctx, fault, size, 0}), obj, nil
}

type faultyBody struct {
	io.ReadCloser
	ctx     context.Context
	fault   Fault
	size, n int64
}

func (b *faultyBody) Read(p []byte) (int, error) {
	if f := b.fault; f.Truncate || f.Break != nil || f.Stall {
		if b.n >= b.size/2 {
			if f.Stall {
				<-b.ctx.Done()
				return 0, b.ctx.Err()
			}
			if f.Break != nil {
				return 0, f.Break
			}
			return 0, io.EOF
		}
		p = p[:min(int64(len(p)), b.size/2-b.n)]
	}
	n, err := b.ReadCloser.Read(p)
	if b.fault.Flip && b.n == 0 && n > 0 {
		p[0] ^= 1
	}
	if b.fault.Endless && err == io.EOF {
		clear(p[n:])
		n, err = len(p), nil
	}
	b.n += int64(n)
	return n, err
}

func (s *faulty) Put(ctx context.Context, key string, body io.ReadSeeker, opts backend.PutOptions) (backend.Object, error) {
	fault := s.plan("put", key)
	if err := fault.before(ctx, "put", key); err != nil {
		return backend.Object{}, err
	}
	obj, err := s.Store.Put(ctx, key, body, opts)
	if err == nil && fault.Lost != nil {
		return backend.Object{}, backend.Wrap(ctx, "put", key, fault.Lost)
	}
	return obj, err
}

func (s *faulty) Delete(ctx context.Context, key, version string) error {
	fault := s.plan("delete", key)
	if err := fault.before(ctx, "delete", key); err != nil {
		return err
	}
	if err := s.Store.Delete(ctx, key, version); err != nil {
		return err
	}
	return backend.Wrap(ctx, "delete", key, fault.Lost)
}

func (s *faulty) List(ctx context.Context, prefix string) iter.Seq2[backend.Object, error] {
	return func(yield func(backend.Object, error) bool) {
		fault := s.plan("list", prefix)
		if err := fault.before(ctx, "list", prefix); err != nil {
			yield(backend.Object{}, err)
			return
		}
		for obj, err := range s.Store.List(ctx, prefix) {
			if !yield(obj, err) {
				return
			}
		}
		if fault.Lost != nil {
			yield(backend.Object{}, backend.Wrap(ctx, "list", prefix, fault.Lost))
		}
	}
}

package backend

import (
	"context"
	"errors"
	"io"
	"iter"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"
)

// WithLimit returns a store that sends at most n requests to s at once. Further
// requests wait, and are sent in the order in which they came; a request fails
// when its context is done. A Get occupies a slot until the answer comes, and again
// from the first Read of its body until the body is closed. A List occupies one while
// it waits for the next object, but not while its caller handles an object. So who
// waits for one answer never keeps others from theirs, however many are unread.
//
// If s is [Busy], half as many requests run at once. With the answers that follow they
// become more again, by one for each round of requests.
func WithLimit(s Store, n int) Store {
	return &limited{Store: s, slots: semaphore.NewWeighted(int64(n)), most: n, width: n}
}

type limited struct {
	Store
	slots *semaphore.Weighted
	most  int

	mu      sync.Mutex
	width   int       // how many requests may run at once
	retired int       // slots that were not given back, to come down to width
	halved  time.Time // when width was last halved
	round   int       // answers since width last grew
}

// acquire takes a slot. The caller gives it back by release, with the outcome.
func (s *limited) acquire(ctx context.Context, op, key string) (release func(error), err error) {
	if err := s.slots.Acquire(ctx, 1); err != nil {
		return nil, Wrap(ctx, op, key, err)
	}
	begun := time.Now()
	return func(err error) { s.release(begun, err) }, nil
}

// release gives back the slot of a request that began at begun and came to err.
func (s *limited) release(begun time.Time, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var busy *Busy
	switch {
	case errors.As(err, &busy):
		if begun.After(s.halved) { // requests that ran side by side count once
			s.width, s.halved, s.round = max(1, s.width/2), time.Now(), 0
		}
	case isAnswer(err) && s.width < s.most:
		if s.round++; s.round >= s.width {
			s.width, s.round = s.width+1, 0
		}
	}
	s.retired++ // the slot of this request
	if spare := s.retired - (s.most - s.width); spare > 0 {
		s.retired -= spare
		s.slots.Release(int64(spare))
	}
}

func (s *limited) Get(ctx context.Context, key string, r Range) (io.ReadCloser, Object, error) {
	release, err := s.acquire(ctx, "get", key)
	if err != nil {
		return nil, Object{}, err
	}
	body, obj, err := s.Store.Get(ctx, key, r)
	release(err)
	if err != nil {
		return nil, Object{}, err
	}
	return &limitedBody{ReadCloser: body, store: s, ctx: ctx, key: key}, obj, nil
}

// limitedBody is the body of a Get. It occupies a slot once it is read.
type limitedBody struct {
	io.ReadCloser
	store   *limited
	ctx     context.Context
	key     string
	release func(error) // nil: it has no slot
	err     error       // the first one of Read
}

func (b *limitedBody) Read(p []byte) (int, error) {
	if b.release == nil {
		release, err := b.store.acquire(b.ctx, "get", b.key)
		if err != nil {
			return 0, err
		}
		b.release = release
	}
	n, err := b.ReadCloser.Read(p)
	if err != io.EOF && b.err == nil {
		b.err = err
	}
	return n, err
}

func (b *limitedBody) Close() error {
	err := b.ReadCloser.Close()
	if b.release != nil {
		b.release(b.err)
		b.release = nil
	}
	return err
}

func (s *limited) Put(ctx context.Context, key string, body io.ReadSeeker, opts PutOptions) (obj Object, err error) {
	release, err := s.acquire(ctx, "put", key)
	if err != nil {
		return Object{}, err
	}
	defer func() { release(err) }()
	return s.Store.Put(ctx, key, body, opts)
}

func (s *limited) Delete(ctx context.Context, key, version string) (err error) {
	release, err := s.acquire(ctx, "delete", key)
	if err != nil {
		return err
	}
	defer func() { release(err) }()
	return s.Store.Delete(ctx, key, version)
}

func (s *limited) List(ctx context.Context, prefix string) iter.Seq2[Object, error] {
	return func(yield func(Object, error) bool) {
		release, err := s.acquire(ctx, "list", prefix)
		if err != nil {
			yield(Object{}, err)
			return
		}
		for obj, err := range s.Store.List(ctx, prefix) {
			release(err)
			if !yield(obj, err) || err != nil {
				return
			}
			if release, err = s.acquire(ctx, "list", prefix); err != nil {
				yield(Object{}, err)
				return
			}
		}
		release(nil)
	}
}

package backend

import (
	"context"
	"crypto/md5"
	"errors"
	"fmt"
	"io"
	"iter"
	"math/rand/v2"
	"time"
)

// WithRetry returns a store that tries a request to s again after a fault that may
// pass. It makes at most the given number of attempts. Before the second attempt it
// waits between half of backoff and all of it, and before each further attempt twice
// as long as before the previous one.
//
// It tries a Get again only until it has returned the body, and a List only until it
// has yielded the first object. The caller sees a fault that comes later. Each
// attempt at a Put sends the body from the position that it had at the beginning.
//
// If an attempt at a conditional Put fails, the store may have carried it out all
// the same. Then the next attempt meets a conflict with the first. So after a fault
// and then a conflict WithRetry reads the object. If the object is the one that the
// caller puts, the Put has succeeded. If the object can't be read, the Put returns the
// fault. So two writers of the same bytes may both be told that they succeeded. A
// caller that must know which writer succeeded puts bytes that differ from those of
// all other writers.
func WithRetry(s Store, attempts int, backoff time.Duration) Store {
	return &retried{s, attempts, backoff}
}

type retried struct {
	Store
	attempts int
	backoff  time.Duration
}

// do calls try until it succeeds or until another attempt would not help, and
// returns its last error.
func (s *retried) do(ctx context.Context, try func() error) error {
	backoff := s.backoff
	for attempt := 1; ; attempt++ {
		err := try()
		if attempt >= s.attempts || !isFault(ctx, err) ||
			errors.Is(err, ErrDenied) || errors.Is(err, ErrUnavailable) {
			return err
		}
		if backoff > 0 {
			if cause := sleep(ctx, backoff/2+rand.N(backoff/2+1)); cause != nil {
				return fmt.Errorf("%w, while waiting to try again after: %w", cause, err)
			}
		}
		backoff *= 2
	}
}

func (s *retried) Get(ctx context.Context, key string, r Range) (body io.ReadCloser, obj Object, err error) {
	err = s.do(ctx, func() (err error) {
		body, obj, err = s.Store.Get(ctx, key, r)
		return err
	})
	return body, obj, err
}

func (s *retried) Put(ctx context.Context, key string, body io.ReadSeeker, opts PutOptions) (obj Object, err error) {
	start, err := body.Seek(0, io.SeekCurrent)
	if err != nil {
		return Object{}, fmt.Errorf("put %s: %w", key, err)
	}
	var fault error
	err = s.do(ctx, func() (err error) {
		if _, err := body.Seek(start, io.SeekStart); err != nil {
			return fmt.Errorf("put %s: %w", key, err)
		}
		obj, err = s.Store.Put(ctx, key, body, opts)
		if fault != nil && errors.Is(err, ErrConflict) {
			return s.settle(ctx, key, opts, fault, err, &obj)
		}
		fault = err
		return err
	})
	return obj, err
}

// settle decides what a conflict means after a fault of the same Put. It returns
// nil and sets obj if the Put has succeeded; otherwise it returns the conflict or
// the fault.
func (s *retried) settle(ctx context.Context, key string, opts PutOptions, fault, conflict error, obj *Object) error {
	body, found, err := s.Store.Get(ctx, key, Range{})
	if errors.Is(err, ErrNotFound) {
		return conflict
	}
	if err != nil {
		return fault
	}
	defer body.Close()
	if found.Size != opts.Size {
		return conflict
	}
	hash := md5.New()
	if _, err := io.Copy(hash, body); err != nil {
		return fault
	}
	if [md5.Size]byte(hash.Sum(nil)) != opts.MD5 {
		return conflict
	}
	*obj = found
	return nil
}

func (s *retried) Delete(ctx context.Context, key string) error {
	return s.do(ctx, func() error { return s.Store.Delete(ctx, key) })
}

func (s *retried) List(ctx context.Context, prefix string) iter.Seq2[Object, error] {
	return func(yield func(Object, error) bool) {
		handedOut := false
		err := s.do(ctx, func() error {
			for obj, err := range s.Store.List(ctx, prefix) {
				if err != nil && !handedOut {
					return err
				}
				handedOut = true
				if !yield(obj, err) || err != nil {
					return nil
				}
			}
			return nil
		})
		if err != nil {
			yield(Object{}, err)
		}
	}
}

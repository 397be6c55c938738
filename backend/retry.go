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

// Retry says how long [WithRetry] goes on.
type Retry struct {
	// Backoff is the longest wait before the second attempt. It doubles with each
	// further one, up to MaxBackoff. Each wait is chosen at random from nothing up to
	// the longest one, so that clients which failed together don't come back together.
	Backoff, MaxBackoff time.Duration

	// Patience is how long after its first fault a request is tried again. What counts
	// is the first fault of the store, if the circuit of [WithBreaker] is open.
	Patience time.Duration
}

// WithRetry returns a store that tries a request to s again after a fault that may
// pass, and goes on for as long as r says. It waits longer where the store asks for that
// (see [Busy]), and while the circuit of WithBreaker is open. It gives up at once if
// the store denies access, or if the circuit opens before the store has answered at all.
//
// If the body of a Get breaks off, WithRetry asks for the rest, and the reader does not
// notice. It returns the fault if the object has changed meanwhile, or has no version. It
// tries a List again only until it has yielded the first object. The caller sees a fault
// that comes later. Each attempt at a Put sends the body from the position that it had at
// the beginning.
//
// If an attempt at a conditional Put fails, the store may have carried it out all
// the same. Then the next attempt meets a conflict with the first. So after a fault
// and then a conflict WithRetry reads the object. If the object is the one that the
// caller puts, the Put has succeeded. If the object can't be read, the Put returns the
// fault. So two writers of the same bytes may both be told that they succeeded. A
// caller that must know which writer succeeded puts bytes that differ from those of
// all other writers.
func WithRetry(s Store, r Retry) Store { return &retried{s, r} }

type retried struct {
	Store
	Retry
}

type hurriedKey struct{}

// Hurried returns a context for requests that are not worth a long wait: WithRetry does
// not wait for an open circuit on their behalf.
func Hurried(ctx context.Context) context.Context {
	return context.WithValue(ctx, hurriedKey{}, true)
}

type patientKey struct{}

// Patient returns a context for requests that are worth a longer wait than others:
// WithRetry goes on for d.
func Patient(ctx context.Context, d time.Duration) context.Context {
	return context.WithValue(ctx, patientKey{}, d)
}

// attempts is what one request has been through.
type attempts struct {
	Retry
	backoff time.Duration // the longest wait before the next attempt
	since   time.Time     // when the trouble began; zero: there was none
}

func (s *retried) begin() attempts { return attempts{Retry: s.Retry, backoff: s.Backoff} }

// await returns nil when the next attempt is to be made, after one at a request with ctx
// that came to err. Otherwise it returns the error to which the request comes.
func (a *attempts) await(ctx context.Context, err error) error {
	var wait time.Duration
	var open *unavailable
	var busy *Busy
	since := time.Now()
	switch {
	case errors.As(err, &open):
		if open.final || ctx.Value(hurriedKey{}) != nil {
			return err
		}
		since, wait = open.since, time.Until(open.until)
	case !isFault(ctx, err), errors.Is(err, ErrDenied), errors.Is(err, ErrUnavailable):
		return err
	case errors.As(err, &busy):
		wait = busy.After
	}
	if a.since.IsZero() || since.Before(a.since) {
		a.since = since
	}
	wait = max(wait, rand.N(a.backoff+1))
	a.backoff = min(2*a.backoff, a.MaxBackoff)
	if wait > a.Patience-time.Since(a.since) { // a wait that the store asks for may be endless
		return err
	}
	if cause := sleep(ctx, wait); cause != nil {
		return fmt.Errorf("%w, while waiting to try again after: %w", cause, err)
	}
	return nil
}

// do calls try until it succeeds or until another attempt would not help, and
// returns its last error.
func (s *retried) do(ctx context.Context, try func() error) error {
	a := s.begin()
	if d, ok := ctx.Value(patientKey{}).(time.Duration); ok {
		a.Patience = max(a.Patience, d)
	}
	for {
		err := try()
		if err == nil {
			return nil
		}
		if err := a.await(ctx, err); err != nil {
			return err
		}
	}
}

func (s *retried) Get(ctx context.Context, key string, r Range) (io.ReadCloser, Object, error) {
	var body io.ReadCloser
	var obj Object
	err := s.do(ctx, func() (err error) {
		body, obj, err = s.Store.Get(ctx, key, r)
		return err
	})
	if err != nil {
		return nil, Object{}, err
	}
	return &resumed{ReadCloser: body, store: s, ctx: ctx, key: key, rest: r, obj: obj, attempts: s.begin()}, obj, nil
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
		if isFault(ctx, err) {
			fault = err
		}
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

func (s *retried) Delete(ctx context.Context, key, version string) error {
	return s.do(ctx, func() error { return s.Store.Delete(ctx, key, version) })
}

// List lists again from the beginning after a fault, and passes over what it has yielded
// before. It can tell that only if the store yields keys in their order, as buckets do:
// otherwise a fault behind the first object ends the list.
func (s *retried) List(ctx context.Context, prefix string) iter.Seq2[Object, error] {
	return func(yield func(Object, error) bool) {
		l := listing{sorted: true}
		for a := s.begin(); ; {
			before := l.last
			stopped, err := l.pass(s.Store.List(ctx, prefix), yield)
			if stopped || err == nil {
				return
			}
			if l.last != before { // the store is not down
				a = s.begin()
			}
			if l.sorted {
				err = a.await(ctx, err)
			}
			if err != nil {
				yield(Object{}, err)
				return
			}
		}
	}
}

// listing is how far a list has come.
type listing struct {
	last   string // the key that was yielded last; "": none was
	sorted bool   // so far each key was behind the one before it
}

// pass yields the objects that list has behind l.last. It reports whether yield wants no
// more, and returns the error with which list ends.
func (l *listing) pass(list iter.Seq2[Object, error], yield func(Object, error) bool) (stopped bool, err error) {
	before := l.last
	for obj, err := range list {
		switch {
		case err != nil:
			return false, err
		case before != "" && obj.Key <= before:
			continue
		}
		l.sorted = l.sorted && obj.Key > l.last
		l.last = obj.Key
		if !yield(obj, nil) {
			return true, nil
		}
	}
	return false, nil
}

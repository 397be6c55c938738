package backend

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"time"
)

// ErrTimeout says that a request made no progress for the time that WithTimeout
// allows.
var ErrTimeout = errors.New("no progress in time")

// WithTimeout returns a store that cancels a request to s, with ErrTimeout, if it
// makes no progress for d. Progress is the beginning of the answer, each Read of a
// Get's body that returns bytes, its Close, each Read of a Put's body by the driver, and
// each object of a List. The time between two Reads, or between two objects, does not
// count. A request that makes progress is never cancelled, however long it takes.
func WithTimeout(s Store, d time.Duration) Store { return &timed{s, d} }

type timed struct {
	Store
	limit time.Duration
}

// watch cancels a context when no progress has been reported for its limit.
type watch struct {
	*time.Timer
	limit  time.Duration
	cancel context.CancelCauseFunc
}

// start returns a context and its watch. The context ends after the limit, unless
// the caller stops the watch or calls its method progress before. The caller calls
// end when the request is over.
func (s *timed) start(ctx context.Context) (context.Context, watch) {
	ctx, cancel := context.WithCancelCause(ctx)
	timer := time.AfterFunc(s.limit, func() {
		cancel(fmt.Errorf("%w (%v)", ErrTimeout, s.limit))
	})
	return ctx, watch{timer, s.limit, cancel}
}

func (w watch) progress() { w.Reset(w.limit) }

func (w watch) end() {
	w.Stop()
	w.cancel(nil)
}

func (s *timed) Get(ctx context.Context, key string, r Range) (io.ReadCloser, Object, error) {
	ctx, w := s.start(ctx)
	body, obj, err := s.Store.Get(ctx, key, r)
	if err != nil {
		w.end()
		return nil, Object{}, err
	}
	w.Stop()
	return &timedBody{body, w}, obj, nil
}

type timedBody struct {
	io.ReadCloser
	watch watch
}

func (b *timedBody) Read(p []byte) (int, error) {
	b.watch.progress()
	defer b.watch.Stop()
	return b.ReadCloser.Read(p)
}

func (b *timedBody) Close() error {
	b.watch.progress() // a file system may block here, too
	defer b.watch.end()
	return b.ReadCloser.Close()
}

func (s *timed) Put(ctx context.Context, key string, body io.ReadSeeker, opts PutOptions) (Object, error) {
	ctx, w := s.start(ctx)
	defer w.end()
	return s.Store.Put(ctx, key, &timedUpload{body, w}, opts)
}

type timedUpload struct {
	io.ReadSeeker
	watch watch
}

func (u *timedUpload) Read(p []byte) (int, error) {
	n, err := u.ReadSeeker.Read(p)
	u.watch.progress()
	return n, err
}

func (s *timed) Delete(ctx context.Context, key, version string) error {
	ctx, w := s.start(ctx)
	defer w.end()
	return s.Store.Delete(ctx, key, version)
}

func (s *timed) List(ctx context.Context, prefix string) iter.Seq2[Object, error] {
	return func(yield func(Object, error) bool) {
		ctx, w := s.start(ctx)
		defer w.end()
		for obj, err := range s.Store.List(ctx, prefix) {
			w.Stop()
			if !yield(obj, err) {
				return
			}
			w.progress()
		}
	}
}

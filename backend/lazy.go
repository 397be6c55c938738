package backend

import (
	"context"
	"fmt"
	"io"
	"iter"
	"sync"
)

type lazy struct {
	open func(context.Context) (Store, error)

	once   sync.Once
	opened chan struct{} // closed when store and err are set
	store  Store
	err    error
}

// Lazy returns a store that is opened by open at its first use, once: a session
// that never asks it pays nothing. A request made while the store is being
// opened waits for that, but no longer than for its own context. An error of
// open is the error of every request, with ErrDenied: opening asks no network,
// so it would fail again.
func Lazy(open func(context.Context) (Store, error)) Store {
	return &lazy{open: open, opened: make(chan struct{})}
}

func (l *lazy) get(ctx context.Context) (Store, error) {
	l.once.Do(func() {
		// The opening serves all that come later too.
		ctx := context.WithoutCancel(ctx)
		go func() {
			defer close(l.opened)
			l.store, l.err = l.open(ctx)
		}()
	})
	select {
	case <-l.opened:
		if l.err != nil {
			return nil, fmt.Errorf("%w: %w", ErrDenied, l.err)
		}
		return l.store, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

func (l *lazy) Get(ctx context.Context, key string, r Range) (io.ReadCloser, Object, error) {
	s, err := l.get(ctx)
	if err != nil {
		return nil, Object{}, err
	}
	return s.Get(ctx, key, r)
}

func (l *lazy) Put(ctx context.Context, key string, body io.ReadSeeker, opts PutOptions) (Object, error) {
	s, err := l.get(ctx)
	if err != nil {
		return Object{}, err
	}
	return s.Put(ctx, key, body, opts)
}

func (l *lazy) Delete(ctx context.Context, key string) error {
	s, err := l.get(ctx)
	if err != nil {
		return err
	}
	return s.Delete(ctx, key)
}

func (l *lazy) List(ctx context.Context, prefix string) iter.Seq2[Object, error] {
	return func(yield func(Object, error) bool) {
		s, err := l.get(ctx)
		if err != nil {
			yield(Object{}, err)
			return
		}
		s.List(ctx, prefix)(yield)
	}
}

// Close closes the store if it was ever opened. It does not wait for one that
// is still being opened: that is closed when it is.
func (l *lazy) Close() error {
	l.once.Do(func() { close(l.opened) })
	select {
	case <-l.opened:
		return l.close()
	default:
		go func() {
			<-l.opened
			_ = l.close()
		}()
		return nil
	}
}

func (l *lazy) close() error {
	if l.store == nil {
		return nil
	}
	return l.store.Close()
}

package backend

import (
	"context"
	"fmt"
	"io"
	"iter"
	"sync"
)

// deferred is a store that is opened when it is first used.
type deferred struct {
	traits Traits
	open   func(context.Context) (Store, error)

	once   sync.Once
	opened chan struct{} // closed when store and err are set
	store  Store
	err    error
}

// Deferred returns a store with the given traits. It calls open once, when it is first
// used, so a session that never uses the store does not spend the time to open it. A request waits while the store
// is being opened, but no longer than its own context allows. If open fails, every request
// fails with the same error and ErrDenied: opening does not use the network, so it would
// fail again.
func Deferred(traits Traits, open func(context.Context) (Store, error)) Store {
	return &deferred{traits: traits, open: open, opened: make(chan struct{})}
}

func (d *deferred) Traits() Traits { return d.traits }

func (d *deferred) get(ctx context.Context) (Store, error) {
	d.once.Do(func() {
		// Later requests use the store, too, so the end of this request's context must
		// not end the opening.
		ctx := context.WithoutCancel(ctx)
		go func() {
			defer close(d.opened)
			d.store, d.err = d.open(ctx)
		}()
	})
	select {
	case <-d.opened:
		if d.err != nil {
			return nil, fmt.Errorf("%w: %w", ErrDenied, d.err)
		}
		return d.store, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

func (d *deferred) Get(ctx context.Context, key string, r Range) (io.ReadCloser, Object, error) {
	s, err := d.get(ctx)
	if err != nil {
		return nil, Object{}, err
	}
	return s.Get(ctx, key, r)
}

func (d *deferred) Put(ctx context.Context, key string, body io.ReadSeeker, opts PutOptions) (Object, error) {
	s, err := d.get(ctx)
	if err != nil {
		return Object{}, err
	}
	return s.Put(ctx, key, body, opts)
}

func (d *deferred) Delete(ctx context.Context, key, version string) error {
	s, err := d.get(ctx)
	if err != nil {
		return err
	}
	return s.Delete(ctx, key, version)
}

func (d *deferred) List(ctx context.Context, prefix string) iter.Seq2[Object, error] {
	return func(yield func(Object, error) bool) {
		s, err := d.get(ctx)
		if err != nil {
			yield(Object{}, err)
			return
		}
		s.List(ctx, prefix)(yield)
	}
}

// Close closes the store if it was opened. If the store is still being opened, Close
// does not wait: a goroutine closes the store afterwards.
func (d *deferred) Close() error {
	d.once.Do(func() { close(d.opened) })
	select {
	case <-d.opened:
		return d.close()
	default:
		go func() {
			<-d.opened
			_ = d.close()
		}()
		return nil
	}
}

func (d *deferred) close() error {
	if d.store == nil {
		return nil
	}
	return d.store.Close()
}

package backend

import (
	"context"
	"io"
	"iter"

	"golang.org/x/sync/semaphore"
)

// Abandonable returns a store for a driver that can't end a call early, such as one that
// uses a file system: a call into a network mount whose server is gone never returns. The
// calls of the store return when their context is done. What the driver was doing goes on
// behind the caller's back, and nobody sees its result. A Put that was given up may still
// store the object, as it may over a network. At most n calls of the driver run at once,
// those that were given up included. Further calls wait for them, and fail when their
// context is done.
func Abandonable(s Store, n int) Store {
	return &abandonable{s, semaphore.NewWeighted(int64(n))}
}

type abandonable struct {
	Store
	slots *semaphore.Weighted
}

// call runs f on another goroutine and returns what it returns. When ctx is done, call
// returns at once, with the error of the operation op on key. If f returns a value after
// that, drop gets it.
func call[T any](ctx context.Context, s *abandonable, op, key string, f func() (T, error), drop func(T)) (T, error) {
	var none T
	if err := s.slots.Acquire(ctx, 1); err != nil {
		return none, Wrap(ctx, op, key, err)
	}
	type result struct {
		value T
		err   error
	}
	done := make(chan result, 1)
	go func() {
		defer s.slots.Release(1)
		value, err := f()
		done <- result{value, err}
	}()
	select {
	case r := <-done:
		return r.value, r.err
	case <-ctx.Done():
	}
	go func() {
		if r := <-done; r.err == nil {
			drop(r.value)
		}
	}()
	return none, Wrap(ctx, op, key, ctx.Err())
}

// nothing drops a result that holds nothing.
func nothing[T any](T) {}

func (s *abandonable) Get(ctx context.Context, key string, r Range) (io.ReadCloser, Object, error) {
	type opened struct {
		body io.ReadCloser
		obj  Object
	}
	got, err := call(ctx, s, "get", key, func() (o opened, err error) {
		o.body, o.obj, err = s.Store.Get(ctx, key, r)
		return o, err
	}, func(o opened) { o.body.Close() })
	if err != nil {
		return nil, Object{}, err
	}
	return &abandonableBody{store: s, ctx: ctx, key: key, body: got.body, turn: make(chan struct{}, 1)}, got.obj, nil
}

// readSize is how many bytes of a body are read at once.
const readSize = 64 << 10

// abandonableBody reads into a buffer of its own: a Read that was given up must not write
// to memory that its caller uses for something else.
type abandonableBody struct {
	store  *abandonable
	ctx    context.Context
	key    string
	buffer []byte // nil: not made yet, or left to a Read that was given up

	body io.ReadCloser
	turn chan struct{} // has an element while body is used
}

func (b *abandonableBody) Read(p []byte) (int, error) {
	if b.buffer == nil {
		b.buffer = make([]byte, readSize)
	}
	part := b.buffer[:min(len(p), len(b.buffer))]
	n, err := call(b.ctx, b.store, "get", b.key, func() (int, error) {
		b.turn <- struct{}{}
		defer func() { <-b.turn }()
		n, err := b.body.Read(part)
		if n > 0 {
			err = nil // it comes again
		}
		return n, err
	}, nothing)
	if b.ctx.Err() != nil {
		b.buffer = nil
	}
	return copy(p, part[:n]), err
}

// Close returns when the body is closed, or when the context of the Get is done. A Read
// that was given up comes first.
func (b *abandonableBody) Close() error {
	closed := make(chan error, 1)
	go func() {
		b.turn <- struct{}{}
		defer func() { <-b.turn }()
		closed <- b.body.Close()
	}()
	select {
	case err := <-closed:
		return err
	case <-b.ctx.Done():
		return nil
	}
}

func (s *abandonable) Put(ctx context.Context, key string, body io.ReadSeeker, opts PutOptions) (Object, error) {
	upload, err := NewUpload(ctx, body, opts.Size)
	if err != nil {
		return Object{}, Wrap(ctx, "put", key, err)
	}
	defer upload.Release()
	return call(ctx, s, "put", key, func() (Object, error) {
		return s.Store.Put(ctx, key, upload, opts)
	}, nothing)
}

func (s *abandonable) Delete(ctx context.Context, key, version string) error {
	_, err := call(ctx, s, "delete", key, func() (none struct{}, err error) {
		return none, s.Store.Delete(ctx, key, version)
	}, nothing)
	return err
}

func (s *abandonable) List(ctx context.Context, prefix string) iter.Seq2[Object, error] {
	return func(yield func(Object, error) bool) {
		if err := s.slots.Acquire(ctx, 1); err != nil {
			yield(Object{}, Wrap(ctx, "list", prefix, err))
			return
		}
		ctx, stop := context.WithCancel(ctx)
		defer stop()
		type listed struct {
			obj Object
			err error
		}
		objects := make(chan listed)
		go func() {
			defer s.slots.Release(1)
			defer close(objects)
			for obj, err := range s.Store.List(ctx, prefix) {
				select {
				case objects <- listed{obj, err}:
				case <-ctx.Done():
					return
				}
			}
		}()
		for ctx.Err() == nil {
			select {
			case l, ok := <-objects:
				if !ok && ctx.Err() == nil || ok && (!yield(l.obj, l.err) || l.err != nil) {
					return
				}
			case <-ctx.Done():
			}
		}
		yield(Object{}, Wrap(ctx, "list", prefix, ctx.Err()))
	}
}

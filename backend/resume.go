package backend

import (
	"context"
	"fmt"
	"io"
)

// resumed is the body of a Get through WithRetry. When it breaks off, it asks for the
// rest.
type resumed struct {
	io.ReadCloser
	store *retried
	ctx   context.Context
	key   string
	rest  Range // what was not read yet
	obj   Object

	attempts       // since the last fault that was far from the one before
	read     int64 // bytes since the last fault
	whole    bool  // all of the range was read
}

// farApart is how many bytes lie between two faults that have nothing to do with each
// other.
const farApart = 1 << 20

func (b *resumed) Read(p []byte) (n int, err error) {
	for n == 0 {
		n, err = b.ReadCloser.Read(p)
		b.advance(int64(n))
		if err == nil || err == io.EOF || b.whole {
			return n, err
		}
		if err = b.resume(err); err != nil {
			return n, err
		}
	}
	return n, nil
}

// advance notes that n bytes were read.
func (b *resumed) advance(n int64) {
	b.rest.Offset += n
	b.read += n
	if b.rest.Length > 0 {
		b.rest.Length -= n
		b.whole = b.rest.Length <= 0
	}
	b.whole = b.whole || b.obj.Size > 0 && b.rest.Offset >= b.obj.Size
}

// resume puts a body with the rest in the place of the one that has come to err. If it
// can't, it returns why.
func (b *resumed) resume(err error) error {
	if b.obj.Version == "" {
		return err
	}
	if b.read >= farApart {
		b.attempts = b.store.begin()
	}
	b.read = 0
	_ = b.Close() // or it would occupy a slot while this waits
	b.ReadCloser = closed{err}
	for {
		if err := b.await(b.ctx, err); err != nil {
			return err
		}
		body, obj, errGet := b.store.Store.Get(b.ctx, b.key, b.rest)
		switch {
		case errGet != nil:
			err = errGet
		case obj.Version != b.obj.Version:
			body.Close()
			return fmt.Errorf("get %s: the object was replaced while it was read, after: %w", b.key, err)
		default:
			b.ReadCloser = body
			return nil
		}
	}
}

// closed is a body that was closed after it had come to err.
type closed struct{ err error }

func (c closed) Read([]byte) (int, error) { return 0, c.err }
func (closed) Close() error               { return nil }

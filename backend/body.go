package backend

import (
	"context"
	"errors"
	"io"
)

// observedBody tells a decorator how the body of a Get was read.
type observedBody struct {
	io.ReadCloser
	n      int64
	err    error
	closed bool
	done   func(n int64, err error)
}

// observe returns body, and calls done once, when it is closed, with the number of
// bytes that were read and the first error other than io.EOF.
func observe(body io.ReadCloser, done func(n int64, err error)) io.ReadCloser {
	return &observedBody{ReadCloser: body, done: done}
}

func (b *observedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.n += int64(n)
	if err != nil && err != io.EOF && b.err == nil {
		b.err = err
	}
	return n, err
}

func (b *observedBody) Close() error {
	err := b.ReadCloser.Close()
	if !b.closed {
		b.closed = true
		b.done(b.n, b.err)
	}
	return err
}

// isAnswer reports whether err, which may be nil, is the store's answer to a
// request, and not a fault of the store or of the network.
func isAnswer(err error) bool {
	return err == nil || errors.Is(err, ErrNotFound) || errors.Is(err, ErrConflict) ||
		errors.Is(err, ErrDigest) || errors.Is(err, ErrReadOnly) || errors.Is(err, ErrNoConditions) || errors.Is(err, ErrUnsupported)
}

// isFault reports whether err, from a request with ctx, is a fault of the store
// or of the network: it is no answer, and the caller has not given up.
func isFault(ctx context.Context, err error) bool {
	return !isAnswer(err) && ctx.Err() == nil
}

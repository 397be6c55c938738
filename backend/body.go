package backend

import (
	"context"
	"errors"
	"io"
)

// observedBody tells a decorator what became of a Get after it returned.
type observedBody struct {
	io.ReadCloser
	n    int64
	err  error
	over bool
	done func(n int64, err error)
}

// observe calls done once, when body is closed, with the bytes that were read
// and the error other than io.EOF that ended them.
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
	if !b.over {
		b.over = true
		b.done(b.n, b.err)
	}
	return err
}

// isAnswer reports whether err is what the store has to say to a request, not a
// fault of the store or of the way there.
func isAnswer(err error) bool {
	return err == nil || errors.Is(err, ErrNotFound) || errors.Is(err, ErrConflict) ||
		errors.Is(err, ErrDigest) || errors.Is(err, ErrReadOnly)
}

// isFault reports whether err, of a request under ctx, speaks against the
// store: it is no answer, and it was not the caller who gave up.
func isFault(ctx context.Context, err error) bool {
	return !isAnswer(err) && ctx.Err() == nil
}

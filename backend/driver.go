package backend

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
)

// This file is for drivers: what the contract of Store asks of all of them.

// Wrap returns err as a Store's method op returns it: with the operation and
// the key, and with the cause of ctx in place of err once ctx is done, since
// clients report a cancelled request in many ways. A nil err stays nil.
func Wrap(ctx context.Context, op, key string, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return fmt.Errorf("%s %s: %w", op, key, err)
}

// WrapAnswer is Wrap for an error of a client that speaks to a bucket. classify returns
// the sentinel that the server's answer stands for, or nil for a fault.
func WrapAnswer(ctx context.Context, op, key, bucket string, err error, classify func(error) error) error {
	if err == nil {
		return nil
	}
	if sentinel := classify(err); sentinel != nil {
		err = fmt.Errorf("%w: bucket %s: %w", sentinel, bucket, err)
	}
	return Wrap(ctx, op, key, err)
}

// Header returns r as an HTTP request's Range header, or "" for a whole object.
func (r Range) Header() string {
	switch {
	case r.Length > 0:
		return fmt.Sprintf("bytes=%d-%d", r.Offset, r.Offset+r.Length-1)
	case r.Offset > 0:
		return fmt.Sprintf("bytes=%d-", r.Offset)
	}
	return ""
}

// NewBody returns r as the body of Get(ctx, key): reading it ends with ctx,
// and its errors are wrapped like those of Get.
func NewBody(ctx context.Context, key string, r io.ReadCloser) io.ReadCloser {
	return &driverBody{r, ctx, key}
}

type driverBody struct {
	io.ReadCloser
	ctx context.Context
	key string
}

func (b *driverBody) Read(p []byte) (int, error) {
	if b.ctx.Err() != nil {
		return 0, Wrap(b.ctx, "get", b.key, b.ctx.Err())
	}
	n, err := b.ReadCloser.Read(p)
	if err != nil && err != io.EOF {
		err = Wrap(b.ctx, "get", b.key, err)
	}
	return n, err
}

// Upload is the body of one Put on its way into a client library, which may
// still be reading when it has already given the answer. It ends with ctx.
type Upload struct {
	ctx  context.Context
	mu   sync.Mutex
	body io.ReadSeeker
	base int64 // where body stood
	over bool
}

// NewUpload checks that body has size bytes left, and otherwise fails with
// ErrDigest. The caller calls Release before its Put returns.
func NewUpload(ctx context.Context, body io.ReadSeeker, size int64) (*Upload, error) {
	base, err := body.Seek(0, io.SeekCurrent)
	if err != nil {
		return nil, err
	}
	end, err := body.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, err
	}
	if end-base != size {
		return nil, fmt.Errorf("%w: %d bytes announced, %d given", ErrDigest, size, end-base)
	}
	if _, err := body.Seek(base, io.SeekStart); err != nil {
		return nil, err
	}
	return &Upload{ctx: ctx, body: body, base: base}, nil
}

var errUploadOver = errors.New("body of a put that is over")

func (u *Upload) Read(p []byte) (int, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.over {
		return 0, errUploadOver
	}
	if u.ctx.Err() != nil {
		return 0, context.Cause(u.ctx)
	}
	return u.body.Read(p)
}

// Seek is relative to where the body stood at the beginning.
func (u *Upload) Seek(offset int64, whence int) (int64, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.over {
		return 0, errUploadOver
	}
	if whence == io.SeekStart {
		offset += u.base
	}
	n, err := u.body.Seek(offset, whence)
	return n - u.base, err
}

// Release waits for a Read that is under way and lets no other begin.
func (u *Upload) Release() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.over = true
}

// CheckContentRange checks that an HTTP answer's Content-Range header is the
// part that r asked for, and returns the whole object's size. Some servers
// ignore ranges and send everything.
func CheckContentRange(header string, r Range) (size int64, err error) {
	var first, last int64
	if _, err := fmt.Sscanf(header, "bytes %d-%d/%d", &first, &last, &size); err != nil || first != r.Offset {
		return 0, fmt.Errorf("asked for bytes from %d, got Content-Range %q", r.Offset, header)
	}
	return size, nil
}

package backend

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"sync"
	"unicode"
)

// This file has what all drivers need to fulfil the contract of Store.

// CheckKey returns an error unless key can be the path of an object, for drivers whose keys are
// paths.
func CheckKey(key string) error {
	if !fs.ValidPath(key) || key == "." || strings.ContainsAny(key, "\\\x00") {
		return errors.New("not a key: it must be UTF-8, and its parts neither empty, . or .., nor hold a backslash or a zero byte")
	}
	return nil
}

// Wrap returns err as a Store's method op returns it: with the operation and the
// key. If ctx is done, the cause of ctx takes the place of err, because clients
// report a cancelled request in many ways. A nil err stays nil.
func Wrap(ctx context.Context, op, key string, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return &OpError{op, key, err}
}

// OpError is what went wrong with the operation Op on Key.
type OpError struct {
	Op, Key string
	Err     error
}

func (e *OpError) Error() string { return e.Op + " " + e.Key + ": " + e.Err.Error() }
func (e *OpError) Unwrap() error { return e.Err }

// Brief returns err with a text of the driver's in the place of its own: the texts of
// clients are long, and may hold a whole answer, such as a page of HTML.
func Brief(text string, err error) error { return brief{text, err} }

type brief struct {
	text string
	error
}

func (e brief) Error() string { return e.text }
func (e brief) Unwrap() error { return e.error }

// FirstLine returns the first line of a text that a server may have written, without what is no
// UTF-8 or is not printed.
func FirstLine(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(strings.ToValidUTF8(text, "")), "\n")
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return -1
	}, line)
}

// WrapAnswer is Wrap for an error from a bucket's client. classify returns the error of
// this package that the server's answer means, or nil for a fault.
func WrapAnswer(ctx context.Context, op, key, bucket string, err error, classify func(error) error) error {
	if err == nil {
		return nil
	}
	if sentinel := classify(err); sentinel != nil {
		err = fmt.Errorf("%w: bucket %s: %w", sentinel, bucket, err)
	}
	return Wrap(ctx, op, key, err)
}

// Header returns r as the Range header of an HTTP request, or "" for a whole object.
func (r Range) Header() string {
	switch {
	case r.Length > 0:
		return fmt.Sprintf("bytes=%d-%d", r.Offset, r.Offset+r.Length-1)
	case r.Offset > 0:
		return fmt.Sprintf("bytes=%d-", r.Offset)
	}
	return ""
}

// NewBody returns r as the body of Get(ctx, key): its reads fail when ctx is done,
// and its errors are wrapped as those of Get are. The caller closes it, which
// closes r.
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

// Upload is the body of one Put as a client library gets it. The library may
// still read the body after it has returned the answer. Reads fail when the
// context of NewUpload is done, and after Release. Upload's methods may be called
// from several goroutines at once.
type Upload struct {
	ctx      context.Context
	mu       sync.Mutex
	body     io.ReadSeeker
	base     int64 // body's position at the beginning
	attempt  int   // the last one
	released bool
}

// NewUpload returns body as an Upload, or ErrDigest if body does not have exactly
// size bytes left. The caller calls Release before its Put returns.
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

var errReleased = errors.New("body of a put that is over")

func (u *Upload) Read(p []byte) (int, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.read(p)
}

func (u *Upload) read(p []byte) (int, error) {
	if u.released {
		return 0, errReleased
	}
	if u.ctx.Err() != nil {
		return 0, context.Cause(u.ctx)
	}
	return u.body.Read(p)
}

// Seek does what io.Seeker says. Offset 0 is the position that the body had at
// the beginning.
func (u *Upload) Seek(offset int64, whence int) (int64, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.seek(offset, whence)
}

func (u *Upload) seek(offset int64, whence int) (int64, error) {
	if u.released {
		return 0, errReleased
	}
	if whence == io.SeekStart {
		offset += u.base
	}
	n, err := u.body.Seek(offset, whence)
	return n - u.base, err
}

// Attempt returns u from its beginning, for one request. What it has returned before cannot
// be read from then on: a client may go on sending it after the server has answered.
func (u *Upload) Attempt() (io.ReadCloser, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.attempt++
	if _, err := u.seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	return io.NopCloser(&uploadAttempt{u, u.attempt}), nil
}

type uploadAttempt struct {
	upload *Upload
	number int
}

func (a *uploadAttempt) Read(p []byte) (int, error) {
	a.upload.mu.Lock()
	defer a.upload.mu.Unlock()
	if a.number != a.upload.attempt {
		return 0, errReleased
	}
	return a.upload.read(p)
}

// Release waits for a Read or a Seek that is under way, and makes all later ones
// fail.
func (u *Upload) Release() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.released = true
}

// CheckContentRange checks that the Content-Range header of an HTTP answer names a
// part that begins where r does, and returns the whole object's size in bytes. Some
// servers ignore ranges and send the whole object.
func CheckContentRange(header string, r Range) (size int64, err error) {
	var first, last int64
	if _, err := fmt.Sscanf(header, "bytes %d-%d/%d", &first, &last, &size); err != nil || first != r.Offset {
		return 0, fmt.Errorf("asked for bytes from %d, got Content-Range %.100q", r.Offset, header)
	}
	return size, nil
}

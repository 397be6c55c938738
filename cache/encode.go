package cache

import (
	"context"
	"crypto/md5"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/entry"
	"github.com/larderbuild/larder/localdisk"
	"github.com/larderbuild/larder/secrets"
	"github.com/larderbuild/larder/session"
)

// find returns the entry that up is to upload, and the path of its body. The error wraps
// localdisk.ErrNotFound or errReplaced if the local tier does not have it any more.
func (u *uploader) find(up session.Upload) (localdisk.Entry, string, error) {
	e, path, err := u.Local.Get(up.Action)
	if err == nil && e.Output != up.Output {
		err = errReplaced
	}
	return e, path, err
}

// encode writes p's entry object to a temporary file, which it leaves at its start.
// The caller closes and removes the file.
func (u *uploader) encode(ctx context.Context, p *parcel) (*os.File, backend.PutOptions, error) {
	if u.compress.Acquire(ctx, 1) != nil {
		return nil, backend.PutOptions{}, context.Cause(ctx)
	}
	defer u.compress.Release(1)

	e, path, err := u.find(p.Upload)
	if err != nil {
		return nil, backend.PutOptions{}, err
	}
	body, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, backend.PutOptions{}, fmt.Errorf("%w: %w", localdisk.ErrNotFound, err)
	}
	if err != nil {
		return nil, backend.PutOptions{}, err
	}
	defer body.Close()

	object, err := u.createTemp(u.session, e.Size+entry.MaxRiders)
	if err != nil {
		return nil, backend.PutOptions{}, err
	}
	scan := u.withheld.secrets.NewScan()
	opts, err := encodeObject(object, p.header(e), &cancellable{seen{body, scan}, ctx}, u.signer(), u.board(p))
	if err == nil {
		err = u.withheld.check(scan, e.Action, e.Output)
	}
	if err != nil {
		object.Close()
		os.Remove(object.Name())
		return nil, backend.PutOptions{}, err
	}
	return object, opts, nil
}

// seen is a body that shows a scan all that is read of it, even what is read twice.
type seen struct {
	io.ReadSeeker
	scan *secrets.Scan
}

func (s seen) Read(p []byte) (int, error) {
	n, err := s.ReadSeeker.Read(p)
	_, _ = s.scan.Write(p[:n]) // never fails
	return n, err
}

// encodeObject writes an entry object to file, and leaves file at its start.
func encodeObject(file *os.File, h entry.Header, body io.ReadSeeker, by entry.Signer, riders []entry.Rider) (opts backend.PutOptions, err error) {
	h, err = entry.Encode(file, h, body, by, riders...)
	if err != nil {
		return opts, err
	}
	opts.Size = h.ObjectSize()
	opts.MD5, err = sumFile(file)
	return opts, err
}

// sumFile returns the MD5 of all of f, and leaves f at its start.
func sumFile(f *os.File) (sum [md5.Size]byte, err error) {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return sum, err
	}
	h := md5.New()
	if _, err := io.CopyBuffer(h, struct{ io.Reader }{f}, make([]byte, 64<<10)); err != nil {
		return sum, err
	}
	h.Sum(sum[:0])
	_, err = f.Seek(0, io.SeekStart)
	return sum, err
}

// cancellable is a body whose Read fails once ctx is done.
type cancellable struct {
	io.ReadSeeker
	ctx context.Context
}

func (c *cancellable) Read(p []byte) (int, error) {
	if c.ctx.Err() != nil {
		return 0, context.Cause(c.ctx)
	}
	return c.ReadSeeker.Read(p)
}

package localdisk

import (
	"errors"
	"io"
	"os"
	"path/filepath"
)

// draft is a body in the making. If its disk refuses it, it moves to the spare
// directory.
type draft struct {
	*os.File
	dir   *Dir // which has the file
	entry Entry
	moved bool
}

// newDraft creates a draft of the body of e, in d or in its spare directory.
func (d *Dir) newDraft(e Entry) (*draft, error) {
	f, err := d.createTemp(filepath.Dir(d.bodyPath(e.Output)))
	if spare := d.spareFor(err); spare != nil {
		d = spare
		f, err = d.createTemp(filepath.Dir(d.bodyPath(e.Output)))
	}
	if err != nil {
		return nil, err
	}
	return &draft{File: f, dir: d, entry: e}, nil
}

// Write writes all of b, if need be after a move.
func (f *draft) Write(b []byte) (int, error) {
	n, err := f.File.Write(b)
	if err == nil || f.move(err) != nil {
		return n, err
	}
	rest, err := f.File.Write(b[n:])
	return n + rest, err
}

// move moves the file to the spare directory, because of a refusal. It returns an error
// if there is none, or if that refuses, too.
func (f *draft) move(refusal error) error {
	spare := f.dir.spareFor(refusal)
	if spare == nil {
		return refusal
	}
	from, err := os.Open(f.Name())
	if err != nil {
		return err
	}
	defer from.Close()
	to, err := spare.createTemp(filepath.Dir(spare.bodyPath(f.entry.Output)))
	if err != nil {
		return err
	}
	if _, err := io.Copy(to, from); err != nil {
		return errors.Join(err, to.Close(), os.Remove(to.Name()))
	}
	_ = from.Close() // Windows removes no file that is open
	f.discard()
	f.File, f.dir, f.moved = to, spare, true
	return nil
}

// finish gives the draft, which holds all of the body, its name.
func (f *draft) finish() error {
	err := f.install()
	if err != nil && f.move(err) == nil {
		err = f.install()
	}
	if err != nil {
		f.discard()
	}
	return err
}

func (f *draft) install() error {
	if err := f.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
		return err
	}
	if f.moved && !f.dir.touchIntact(f.Name(), f.entry) {
		return errors.New("the disk lost what was written before it refused more")
	}
	path := f.dir.bodyPath(f.entry.Output)
	return nameBody(f.Name(), path, func() bool { return f.dir.touchIntact(path, f.entry) })
}

// discard closes and removes the file.
func (f *draft) discard() {
	_ = f.Close() // again, perhaps
	_ = os.Remove(f.Name())
}

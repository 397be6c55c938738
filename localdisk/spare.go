package localdisk

import (
	"errors"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
)

// spare is the directory behind another one.
type spare struct {
	open    func(refusal error) (*Dir, error)
	opening sync.Mutex // held while open makes the directory
	found   atomic.Pointer[Dir]
}

// WithSpare returns the directory d with another one behind it. What the disk of d
// refuses, because it is full or read-only or broken, goes to the spare directory. What
// d does not have is looked for there. Everything else is done in d alone.
//
// open returns the spare directory. It is called with nil to find it, and with an error to
// make it if need be: that is what the disk of d says. It returns an error if it can't do
// this. Many goroutines may call it with nil, and one at a time with an error. The spare directory has no spare of its own.
func (d *Dir) WithSpare(open func(refusal error) (*Dir, error)) *Dir {
	with := New(d.root)
	with.place, with.spare = d.place, &spare{open: open}
	return with
}

// Spare returns the spare directory with d behind it, or nil if there is none.
func (d *Dir) Spare() *Dir {
	behind := d.behind()
	if behind == nil {
		return nil
	}
	alone := New(d.root)
	alone.place = d.place
	return behind.WithSpare(func(error) (*Dir, error) { return alone, nil })
}

// errNoRoom is a refusal before the disk's own.
var errNoRoom = errors.New("no room")

// SpareFor returns the spare directory if the disk of d has no room for size bytes beside
// what [Dir.Room] leaves free. Otherwise, or if there is no spare directory, it returns nil.
func (d *Dir) SpareFor(size int64) *Dir {
	if d.Room(0) >= size {
		return nil
	}
	return d.spareFor(errNoRoom)
}

// behind returns the spare directory, or nil if there is none so far.
func (d *Dir) behind() *Dir {
	s, _ := d.openSpare(nil)
	return s
}

// spareFor returns the directory that takes what d refuses, because of an error. It
// returns nil if there is no error, or no such directory.
func (d *Dir) spareFor(refusal error) *Dir {
	if refusal == nil {
		return nil
	}
	s, _ := d.openSpare(refusal)
	return s
}

// openSpare returns the spare directory, or nil if d is to have none.
func (d *Dir) openSpare(refusal error) (*Dir, error) {
	if d.spare == nil {
		return nil, nil
	}
	if s := d.spare.found.Load(); s != nil {
		return s, nil
	}
	if refusal != nil {
		d.spare.opening.Lock()
		defer d.spare.opening.Unlock()
		if s := d.spare.found.Load(); s != nil {
			return s, nil
		}
	}
	s, err := d.spare.open(refusal)
	if err != nil {
		return nil, err
	}
	d.spare.found.CompareAndSwap(nil, s)
	return d.spare.found.Load(), nil
}

// CreateTemp makes a file for what is soon to be removed. If nobody removes it, Trim does.
// The caller closes it.
func (d *Dir) CreateTemp() (*os.File, error) { return d.createTemp(filepath.Join(d.root, "00")) }

// CheckWritable returns an error if a file can't be written in d. It makes what is
// missing of d.
func (d *Dir) CheckWritable() error {
	f, err := d.CreateTemp()
	if err != nil {
		return err
	}
	_, err = f.Write(make([]byte, actionSize))
	if errClose := f.Close(); err == nil {
		err = errClose
	}
	if errRemove := os.Remove(f.Name()); err == nil {
		err = errRemove
	}
	return err
}

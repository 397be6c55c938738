package localdisk

import (
	"errors"
	"io"
	"io/fs"
	"os"

	"github.com/larderbuild/larder/protocol"
)

// ErrNotFound says that the directory has no whole entry for an action. The error
// that wraps it also wraps the reason: fs.ErrNotExist if a file is absent, another
// error if a file is damaged or can't be read.
var ErrNotFound = errors.New("no local entry")

// missError is the miss of one action. Its text is formatted only when it is read,
// because a cold build has thousands of misses.
type missError struct {
	action protocol.ActionID
	reason error
}

func (e *missError) Error() string {
	return "get " + e.action.String() + ": " + ErrNotFound.Error() + ": " + e.reason.Error()
}

func (e *missError) Is(target error) bool { return target == ErrNotFound }

func (e *missError) Unwrap() error { return e.reason }

// These are reasons for a miss. Others are errMalformed and errors of the operating
// system.
var (
	errOtherAction = errors.New("action file is another action's")
	errBodySize    = errors.New("body has the wrong size")
	errNotRegular  = errors.New("body is not a regular file")
)

// Get returns the entry of action and the path of its body, which lies under
// d.Path(). It records the use of both files. It checks the body's size, but not
// its hash. Every error wraps ErrNotFound.
func (d *Dir) Get(action protocol.ActionID) (Entry, string, error) {
	e, path, err := d.get(action)
	if err != nil {
		return Entry{}, "", &missError{action, err}
	}
	return e, path, nil
}

func (d *Dir) get(action protocol.ActionID) (Entry, string, error) {
	e, err := d.readAction(action)
	if err != nil {
		return Entry{}, "", err
	}
	path := d.bodyPath(e.Output)
	info, err := os.Stat(path)
	if err != nil {
		return Entry{}, "", err
	}
	if !info.Mode().IsRegular() {
		return Entry{}, "", errNotRegular
	}
	if info.Size() != e.Size {
		return Entry{}, "", errBodySize
	}
	// A trim may have removed the body after os.Stat.
	if err := d.touch(path, info.ModTime()); errors.Is(err, fs.ErrNotExist) {
		return Entry{}, "", err
	}
	return e, path, nil
}

// readAction reads the action file of action and records its use.
func (d *Dir) readAction(action protocol.ActionID) (Entry, error) {
	path := d.actionPath(action)
	f, err := os.Open(path)
	if err != nil {
		return Entry{}, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return Entry{}, err
	}
	var data [actionSize + 1]byte // one byte more, to notice a file that is too long
	n, err := f.Read(data[:])
	if err != nil && err != io.EOF {
		return Entry{}, err
	}
	e, err := parseAction(data[:n])
	if err != nil {
		return Entry{}, err
	}
	if e.Action != action {
		return Entry{}, errOtherAction
	}
	_ = d.touch(path, info.ModTime())
	return e, nil
}

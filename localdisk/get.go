package localdisk

import (
	"errors"
	"io"
	"io/fs"
	"os"

	"github.com/larderbuild/larder/protocol"
)

// ErrNotFound says that the directory has no whole entry for an action. The
// error around it carries the reason: one that wraps fs.ErrNotExist where a
// file is absent, anything else where a file is damaged or cannot be read.
var ErrNotFound = errors.New("no local entry")

// missError is the miss of one action. It is a type so that a miss, which a
// cold build has thousands of, formats nothing until somebody reads it.
type missError struct {
	action protocol.ActionID
	reason error
}

func (e *missError) Error() string {
	return "get " + e.action.String() + ": " + ErrNotFound.Error() + ": " + e.reason.Error()
}

func (e *missError) Is(target error) bool { return target == ErrNotFound }

func (e *missError) Unwrap() error { return e.reason }

// Reasons of misses, besides errMalformed and those of the operating system.
var (
	errOtherAction = errors.New("action file is another action's")
	errBodySize    = errors.New("body has the wrong size")
	errNotRegular  = errors.New("body is not a regular file")
)

// Get looks up action and returns its entry and the path of its body, which
// lies under d.Path(). It records the use of both files. It checks the body's
// size, not its hash. Every error wraps ErrNotFound.
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
	// A body that a trim took away after the look at it above is gone here.
	if err := d.touch(path, info.ModTime()); errors.Is(err, fs.ErrNotExist) {
		return Entry{}, "", err
	}
	return e, path, nil
}

// readAction reads and touches the action file of action.
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
	var data [actionSize + 1]byte // one more, to tell a file that is too long
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

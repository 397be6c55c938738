package localdisk

import (
	"errors"
	"io"
	"io/fs"
	"os"

	"github.com/larderbuild/larder/protocol"
)

// ErrNotFound says that the directory has no whole entry for an action. The error
// around it carries the reason. The reason wraps fs.ErrNotExist if a file is absent;
// otherwise a file is damaged or cannot be read.
var ErrNotFound = errors.New("no local entry")

// missError is the miss of one action. A cold build has thousands of misses, so the
// text is made only when somebody reads it.
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

// Get looks up action and returns its entry and the path of its body, which lies under
// d.Path() or in the spare directory. It records the use of both files. It checks the
// size of the body, but not the hash. Every error wraps ErrNotFound.
func (d *Dir) Get(action protocol.ActionID) (Entry, string, error) {
	e, path, err := d.get(action)
	if err == nil {
		return e, path, nil
	}
	if spare := d.behind(); spare != nil {
		if e, path, err := spare.get(action); err == nil {
			return e, path, nil
		}
	}
	return Entry{}, "", &missError{action, err}
}

// Has reports whether there is an action file of action, in d or in the spare directory.
// Unlike Get it records no use, and does not look at the file.
func (d *Dir) Has(action protocol.ActionID) bool {
	if _, err := os.Lstat(d.actionPath(action)); err == nil {
		return true
	}
	spare := d.behind()
	return spare != nil && spare.Has(action)
}

func (d *Dir) get(action protocol.ActionID) (Entry, string, error) {
	return d.getAt(d.actionPath(action), action)
}

// getAt is get for an action file at actionPath.
func (d *Dir) getAt(actionPath string, action protocol.ActionID) (Entry, string, error) {
	e, err := d.readAction(actionPath, action)
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
	// A trim may have removed the body since the Stat above.
	if err := d.touch(path, info.ModTime()); errors.Is(err, fs.ErrNotExist) {
		return Entry{}, "", err
	}
	return e, path, d.checkPlace()
}

// readAction reads and touches the file at path, which has to be the action file of action.
func (d *Dir) readAction(path string, action protocol.ActionID) (Entry, error) {
	f, err := openShared(path)
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

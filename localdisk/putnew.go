package localdisk

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/larderbuild/larder/protocol"
)

// PutNew stores body and e as Put does, unless the directory has a whole entry of e.Action.
// That one stays, even if another process puts it at this moment. isNew reports whether e
// was stored. The body is stored in either case, and path is its path.
func (d *Dir) PutNew(e Entry, body io.Reader) (path string, isNew bool, err error) {
	return d.store(e, body, func(at *Dir) (isNew bool, err error) {
		if at != d {
			if _, _, err := d.get(e.Action); err == nil {
				return false, nil
			}
		}
		return at.putNewAction(e)
	})
}

// clearings is how often putNewAction clears a damaged action file away. More than once is
// needed only if another process damages the file again at the same time.
const clearings = 3

// putNewAction stores the action file of e unless the directory has a whole entry.
func (d *Dir) putNewAction(e Entry) (isNew bool, err error) {
	path := d.actionPath(e.Action)
	temp, err := d.writeTemp(filepath.Dir(path), e.writeAction)
	if err != nil {
		return false, err
	}
	for range clearings {
		if err = renameNew(temp, path); err == nil {
			return true, nil
		}
		if !errors.Is(err, fs.ErrExist) {
			break
		}
		if _, _, damaged := d.get(e.Action); damaged == nil {
			return false, os.Remove(temp)
		}
		d.clearAway(path, e.Action)
	}
	_ = os.Remove(temp)
	return false, err
}

// clearAway removes the action file at path, which is damaged or without a body. It moves the
// file away before it removes it: if another process has put the action meanwhile, the
// file is whole, and clearAway moves it back.
func (d *Dir) clearAway(path string, action protocol.ActionID) {
	aside := tempPath(filepath.Dir(path))
	if os.Rename(path, aside) != nil {
		return
	}
	if _, _, err := d.getAt(aside, action); err == nil && renameNew(aside, path) == nil {
		return
	}
	_ = os.Remove(aside)
}

// linkNew is renameNew for systems that have links. Where the file system has none, a
// file that appears at the same moment is replaced.
func linkNew(temp, path string) error {
	switch err := os.Link(temp, path); {
	case err == nil:
		_ = os.Remove(temp)
		return nil
	case errors.Is(err, fs.ErrExist):
		return err
	}
	if _, err := os.Lstat(path); err == nil {
		return &os.LinkError{Op: "rename", Old: temp, New: path, Err: fs.ErrExist}
	}
	return os.Rename(temp, path)
}

package session

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/rogpeppe/go-internal/robustio"
)

// leftDir returns the folder of the journals that sessions have left.
func leftDir(local string) string { return filepath.Join(local, "larder", "journals") }

// Work is what sessions that have ended left to do for one target.
type Work struct {
	Target   Target
	Signed   bool     // whatever is written is to be signed
	Journals []string // paths of their journals, the oldest first
}

// Left returns what sessions have left to do below local: the work of each target, that
// of the session that ended first before that of others. The error tells of journals
// that can't be read. Only the headers are read.
func Left(local string) ([]Work, error) {
	var works []Work
	err := eachLeft(local, func(path string) error {
		target, signed, err := readHeader(path)
		switch {
		case errors.Is(err, errCut): // nothing was noted yet
			return remove(path)
		case errors.Is(err, fs.ErrNotExist):
			return nil
		case err != nil:
			return err
		}
		for i := range works {
			if w := &works[i]; w.Signed == signed && w.Target.equal(target) {
				w.Journals = append(w.Journals, path)
				return nil
			}
		}
		works = append(works, Work{target, signed, []string{path}})
		return nil
	})
	return works, err
}

// eachLeft calls visit for each journal that was left below local, the oldest first. It
// returns the errors of all calls.
func eachLeft(local string, visit func(path string) error) error {
	if _, err := List(local); err != nil { // also what killed sessions have left
		return err
	}
	entries, err := os.ReadDir(leftDir(local))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	errs := []error{err}
	for _, e := range entries {
		if _, ok := parseOwner(e.Name()); ok {
			errs = append(errs, visit(filepath.Join(leftDir(local), e.Name())))
		}
	}
	return errors.Join(errs...)
}

// remove removes the file at path, which another process may have removed.
func remove(path string) error {
	if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// Pending returns what w's journals say is still to do.
func (w Work) Pending() (Pending, error) {
	var r reader
	for _, path := range w.Journals {
		if err := r.file(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return Pending{}, err
		}
	}
	todo := r.pending()
	todo.Target, todo.Signed = w.Target, w.Signed
	return todo, nil
}

// Take makes one journal of w's, and returns it with what it says is still to do. The
// caller has locked the scope of w's target; see [LockScope]. The caller closes the
// journal.
func (w Work) Take() (*Journal, Pending, error) {
	todo, err := w.Pending()
	if err != nil {
		return nil, Pending{}, err
	}
	// The journal is written whole before it takes the place of the oldest one. So each
	// one is given up, at the latest, when the oldest would have been.
	path := w.Journals[0]
	f, err := os.CreateTemp(filepath.Dir(path), tempPrefix+"*")
	if err != nil {
		return nil, Pending{}, err
	}
	j := &Journal{path: f.Name(), file: f}
	err = errors.Join(j.write(todo.text()), f.Close())
	if err == nil {
		err = robustio.Rename(f.Name(), path)
	}
	if err != nil {
		return nil, Pending{}, errors.Join(fmt.Errorf("take over journals: %w", err), remove(f.Name()))
	}
	for _, merged := range w.Journals[1:] {
		_ = remove(merged) // what stays is done twice, which does no harm
	}
	f, err = os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return nil, Pending{}, err
	}
	return &Journal{path: path, file: f}, todo, nil
}

// tempPrefix begins the names of journals that are being written.
const tempPrefix = "new-"

// Uploads returns how many entries that sessions have made the journals below local hold and
// the remote does not have yet, those of live sessions included.
func Uploads(local string) (uploads int, err error) {
	count := func(path string) error {
		var r reader
		if err := r.file(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		uploads += r.unsaved()
		return nil
	}
	if err := eachLeft(local, count); err != nil {
		return 0, err
	}
	live, err := List(local)
	for _, l := range live {
		err = errors.Join(err, count(journalPath(l.dir)))
	}
	return uploads, err
}

// Abandoned reports whether sessions that have ended left something to do below local
// for target's remote and scope, under any profile. What is to be signed counts only for a
// process that has a key.
func Abandoned(local string, target Target, hasKey bool) (bool, error) {
	works, err := Left(local)
	for _, w := range works {
		if w.Target.SameScope(target) && (hasKey || !w.Signed) {
			return true, nil
		}
	}
	return false, err
}

// Forget gives up what sessions that have ended left to do below local.
func Forget(local string) error { return eachLeft(local, remove) }

// Trim gives up what sessions left to do below local longer than maxAge ago, if that is
// not 0, and removes what killed processes have left unfinished. It forgets the facts
// about remotes that nobody has noted for long.
func Trim(local string, maxAge time.Duration) error {
	trimMemory(local)
	err := eachLeft(local, func(path string) error {
		o, _ := parseOwner(filepath.Base(path))
		if maxAge == 0 || time.Since(o.start).Abs() <= maxAge {
			return nil
		}
		return remove(path)
	})
	others, _ := os.ReadDir(leftDir(local)) // eachLeft has said why it can't be read
	for _, e := range others {
		if _, ok := parseOwner(e.Name()); !ok {
			err = errors.Join(err, RemoveOld(filepath.Join(leftDir(local), e.Name()), silence))
		}
	}
	return err
}

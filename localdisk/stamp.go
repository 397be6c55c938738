package localdisk

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/lockedfile"
)

const (
	ownFolder    = "larder" // holds what is not in Go's format
	trimInterval = 24 * time.Hour
)

var errNotDue = errors.New("trimmed recently")

// TrimDue reports whether d was not trimmed for a day. If so, it claims the trim: of
// all processes that ask at the same time, only one is told true. The first call begins
// the first day and returns false. TrimDue also returns false if the directory does not
// exist, and, with an error, if it cannot write the claim.
//
// Go commands that use the directory trim it, too. They go by age, and keep a time
// stamp of their own.
func (d *Dir) TrimDue() (bool, error) {
	folder := filepath.Join(d.root, ownFolder)
	err := os.Mkdir(folder, 0o755)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return false, wrap("claim trim of", d, err)
	}
	path := filepath.Join(folder, "trim.txt")
	// With a umask of 0, everybody could write the file that Transform makes.
	if f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE, 0o644); err == nil {
		f.Close()
	}
	now, first := d.now(), false
	claim := func(stamp []byte) ([]byte, error) {
		if trimmedRecently(stamp, now) {
			return nil, errNotDue
		}
		first = len(stamp) == 0
		return fmt.Appendln(nil, now.Unix()), nil
	}
	err = lockedfile.Transform(path, claim)
	if at := new(fs.PathError); errors.As(err, &at) && at.Op == "Lock" { // it can be opened, and not locked
		err = transformUnlocked(path, claim)
	}
	if errors.Is(err, errNotDue) {
		return false, nil
	}
	return err == nil && !first, wrap("claim trim of", d, err)
}

// transformUnlocked is lockedfile.Transform for a file system without locks. There two
// processes may trim at the same time, which does no harm.
func transformUnlocked(path string, change func([]byte) ([]byte, error)) error {
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if content, err = change(content); err != nil {
		return err
	}
	return os.WriteFile(path, content, 0o644)
}

// trimmedRecently reports whether stamp says that a trim began within the last day. It
// ignores a stamp that is not a number. It also ignores one that lies in the future by
// more than clocks differ.
func trimmedRecently(stamp []byte, now time.Time) bool {
	seconds, err := strconv.ParseInt(strings.TrimSpace(string(stamp)), 10, 64)
	if err != nil {
		return false
	}
	age := now.Sub(time.Unix(seconds, 0))
	return -touchInterval < age && age < trimInterval
}

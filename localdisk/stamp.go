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

// TrimDue reports whether d was not trimmed for a day, and if so claims the
// trim: of any number of processes, one is told true. The first day begins with
// the first call. It is false where there is no directory, and where the claim
// cannot be written, with the error.
//
// Go commands that use the directory trim it too, by age, on their own stamp.
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
	// Transform would make a file that the umask alone keeps others from writing.
	if f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE, 0o644); err == nil {
		f.Close()
	}
	now, first := d.now(), false
	err = lockedfile.Transform(path, func(stamp []byte) ([]byte, error) {
		if trimmedRecently(stamp, now) {
			return nil, errNotDue
		}
		first = len(stamp) == 0
		return fmt.Appendln(nil, now.Unix()), nil
	})
	if errors.Is(err, errNotDue) {
		return false, nil
	}
	return err == nil && !first, wrap("claim trim of", d, err)
}

// trimmedRecently reads a stamp. What is no number or lies in the future, by
// more than clocks differ, was not written by a trim worth waiting for.
func trimmedRecently(stamp []byte, now time.Time) bool {
	seconds, err := strconv.ParseInt(strings.TrimSpace(string(stamp)), 10, 64)
	if err != nil {
		return false
	}
	age := now.Sub(time.Unix(seconds, 0))
	return -touchInterval < age && age < trimInterval
}

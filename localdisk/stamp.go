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
	ownFolder    = "larder" // for files that are not in the go command's format
	trimInterval = 24 * time.Hour
)

var errNotDue = errors.New("trimmed recently")

// TrimDue reports whether the last trim of d was claimed more than a day ago. If so, it
// claims the next one: only one of several processes gets true. The first call starts
// the first day and returns false. TrimDue also returns false if there is no directory,
// and, with the error, if it can't write the claim.
//
// Go commands that use the directory trim it, too, by age. They have a stamp of their
// own.
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
	// If Transform made the file, only the umask would keep others from writing to it.
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

// trimmedRecently reports whether stamp, the contents of trim.txt, says that d was
// trimmed within the last day. It ignores a stamp that is no number, or that lies so
// far in the future that a difference between clocks does not explain it.
func trimmedRecently(stamp []byte, now time.Time) bool {
	seconds, err := strconv.ParseInt(strings.TrimSpace(string(stamp)), 10, 64)
	if err != nil {
		return false
	}
	age := now.Sub(time.Unix(seconds, 0))
	return -touchInterval < age && age < trimInterval
}

// Package filelock tells what the error of locking a file means.
package filelock

import (
	"errors"
	"io/fs"
	"syscall"
)

// Missing reports whether err, of a flock.Flock, says that the file could be opened, and not
// locked. Some network file systems have no locks, and they say so in several ways.
func Missing(err error) bool {
	var opening *fs.PathError
	var locking syscall.Errno
	return errors.As(err, &locking) && !errors.As(err, &opening)
}

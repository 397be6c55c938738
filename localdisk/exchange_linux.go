package localdisk

import (
	"errors"
	"io/fs"

	"github.com/rogpeppe/go-internal/robustio"
	"golang.org/x/sys/unix"
)

// exchange renames temp to path. Afterwards temp may name what path named before. A
// plain rename over a file makes ext4 write the new file to the disk at once, and a
// build that waits for hundreds of archives must not wait for that.
func exchange(temp, path string) error {
	if unix.Renameat2(unix.AT_FDCWD, temp, unix.AT_FDCWD, path, unix.RENAME_EXCHANGE) != nil {
		return robustio.Rename(temp, path) // path is new, or the file system can't
	}
	return nil
}

// renameNew renames temp to path unless a file has that name. Then its error wraps
// fs.ErrExist.
func renameNew(temp, path string) error {
	err := unix.Renameat2(unix.AT_FDCWD, temp, unix.AT_FDCWD, path, unix.RENAME_NOREPLACE)
	if err == nil || errors.Is(err, fs.ErrExist) {
		return err
	}
	return linkNew(temp, path) // the file system can't
}

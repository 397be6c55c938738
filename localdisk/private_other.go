//go:build !unix

package localdisk

import (
	"io/fs"
	"os"
	"path/filepath"
)

// CheckPrivate always returns nil on this system, because mode bits say nothing on
// Windows. The default directory lies in the user's profile, and the access control
// list of that keeps others out. CheckPrivate does not read such lists, so a folder
// that LARDER_DIR names is as private as the user has made it.
func CheckPrivate(string) error { return nil }

// OpenOwn returns the directory larder in parent, which is the user's own folder for
// temporary files. With make OpenOwn makes it if there is none; otherwise the error wraps
// fs.ErrNotExist.
func OpenOwn(parent string, make bool) (*Dir, error) {
	path := filepath.Join(parent, "larder")
	if make {
		if err := os.MkdirAll(path, 0o700); err != nil {
			return nil, err
		}
	}
	return openPlace(path)
}

// checkOwn returns what the file at path is.
func checkOwn(path string) (fs.FileInfo, error) { return os.Stat(path) }

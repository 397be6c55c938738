package dir

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// makeDir makes dir, which is the root or lies below it, and what is missing above it.
func (s *store) makeDir(dir string) error {
	if dir == s.root {
		return os.MkdirAll(dir, 0o777) // its permissions are for the umask to say
	}
	if info, err := os.Stat(dir); err == nil && info.IsDir() {
		return nil
	}
	if err := s.makeDir(filepath.Dir(dir)); err != nil {
		return err
	}
	err := os.Mkdir(dir, 0o777)
	if err == nil {
		s.share(dir, fs.ModePerm|fs.ModeSetgid|fs.ModeSticky)
		return nil
	}
	if info, errStat := os.Stat(dir); errors.Is(err, fs.ErrExist) && errStat == nil && info.IsDir() {
		return nil // another process was faster
	}
	return err
}

// create makes a file that does not exist.
func (s *store) create(name string) (*os.File, error) {
	file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err == nil {
		s.share(name, 0o666)
	}
	return file, err
}

// createIn makes the file called name in dir, and what is missing of dir. A Delete may remove
// an empty directory at any moment, so it tries again.
func (s *store) createIn(dir, name string) (file *os.File, err error) {
	for range 10 {
		if err = s.makeDir(dir); err == nil {
			file, err = s.create(name)
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return file, err
		}
	}
	return nil, err
}

// share gives what this process has just made the permissions of the root, as far as may
// says. Where the file system has none, everything stays as it is.
func (s *store) share(path string, may fs.FileMode) {
	root, err := os.Stat(s.root)
	if err != nil {
		return
	}
	made, err := os.Lstat(path)
	if want := root.Mode() & may; err == nil && made.Mode()&may != want {
		_ = os.Chmod(path, want)
	}
}

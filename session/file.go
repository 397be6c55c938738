package session

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/rogpeppe/go-internal/robustio"
)

// WriteFile writes a file whole or not at all, in a folder that is there. Only its owner
// may read it.
func WriteFile(path string, content []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), "new-*")
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	err = errors.Join(err, f.Close())
	if err == nil {
		err = robustio.Rename(f.Name(), path) // Windows may need several tries
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}

// RemoveOld removes what is at path if it was not changed for longer than age.
func RemoveOld(path string, age time.Duration) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && time.Since(info.ModTime()).Abs() <= age {
		return nil
	}
	return errors.Join(err, os.RemoveAll(path))
}

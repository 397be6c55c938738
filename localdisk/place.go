package localdisk

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// place is a folder that is this user's alone, but that others can rename.
type place struct {
	path string
	was  fs.FileInfo // when it was opened
}

// openPlace returns the directory at path, as this user's alone.
func openPlace(path string) (*Dir, error) {
	info, err := checkOwn(path)
	if err != nil {
		return nil, err
	}
	d := New(path)
	d.place = &place{d.root, info}
	return d, nil
}

// Within returns the directory called name in d.
func (d *Dir) Within(name string) *Dir {
	within := New(filepath.Join(d.root, name))
	within.place = d.place
	return within
}

// checkPlace returns an error if d lies in a folder that others have renamed since it was
// opened, or that is no longer this user's alone.
func (d *Dir) checkPlace() error {
	if d.place == nil {
		return nil
	}
	now, err := checkOwn(d.place.path)
	if err == nil && !os.SameFile(d.place.was, now) {
		err = fmt.Errorf("%s is not the folder that it was", d.place.path)
	}
	return err
}

package localdisk

import (
	"fmt"
	"os"
	"path/filepath"
)

// Link makes path another name of e's body, in one step. It replaces what path named
// before. The path lies outside of the cache, on the same file system. If the file
// system has no links, Link makes a copy. It checks the size of the body, but not the
// hash.
func (d *Dir) Link(e Entry, path string) error {
	body := d.bodyPath(e.Output)
	info, err := os.Stat(body)
	if err != nil {
		return fmt.Errorf("link the body of %s: %w", e.Action, err)
	}
	if !info.Mode().IsRegular() || info.Size() != e.Size {
		return fmt.Errorf("link the body of %s: %w", e.Action, errBodySize)
	}
	temp := tempPath(filepath.Dir(path))
	if os.Link(body, temp) != nil {
		err = d.copyTo(temp, e, body)
	}
	if err == nil {
		err = exchange(temp, path)
	}
	_ = os.Remove(temp) // after an error, or what path named
	if err != nil {
		return fmt.Errorf("link the body of %s: %w", e.Action, err)
	}
	return nil
}

// copyTo copies the file at body, which holds e's body, to a new file at path.
func (d *Dir) copyTo(path string, e Entry, body string) error {
	from, err := os.Open(body)
	if err != nil {
		return err
	}
	defer from.Close()
	to, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	err = d.copyBody(to, e, from)
	if errClose := to.Close(); err == nil {
		err = errClose
	}
	return err
}

package localdisk

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// Link makes path another name of e's body, in one step. It replaces what path named
// before. The path lies outside of the cache. If it can't be a link, because the file
// system has none or is another one, Link makes a copy. If there is no room for that, path
// becomes a symbolic link. Link checks the size of the body, but not the hash.
func (d *Dir) Link(e Entry, path string) error {
	body, err := d.findBody(e)
	if err == nil {
		err = d.link(e, body, path)
	}
	if err != nil {
		return fmt.Errorf("link the body of %s: %w", e.Action, err)
	}
	return nil
}

// findBody returns the path of e's body, in d or in the spare directory.
func (d *Dir) findBody(e Entry) (string, error) {
	path := d.bodyPath(e.Output)
	info, err := os.Stat(path)
	if err == nil && (!info.Mode().IsRegular() || info.Size() != e.Size) {
		err = errBodySize
	}
	if err == nil {
		err = d.checkPlace()
	}
	if spare := d.behind(); err != nil && spare != nil {
		return spare.findBody(e)
	}
	return path, err
}

func (d *Dir) link(e Entry, body, path string) error {
	temp := tempPath(filepath.Dir(path))
	defer os.Remove(temp) // after an error, or what path named
	err := os.Link(body, temp)
	if err != nil {
		err = d.copyTo(temp, e, body)
	}
	if err == nil {
		return exchange(temp, path)
	}
	_ = os.Remove(temp)
	// A symbolic link may need a block and an inode. On a full disk those of the file that
	// it replaces are the only ones, unless somebody else takes them first.
	_ = os.Remove(path)
	for {
		refusal := os.Symlink(body, path)
		if refusal == nil {
			return nil
		}
		if !isFull(refusal) || !d.giveWay() {
			return err
		}
	}
}

// isFull reports whether err says that a disk has no room, or that the user may have no more.
func isFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// giveWay moves an entry of d to the spare directory, which leaves room for a small file
// on the disk of d. The body stays in d, too, since somebody may be reading it. giveWay
// reports whether there was an entry that it could move.
func (d *Dir) giveWay() (moved bool) {
	spare := d.behind()
	for i := 0; i < 256 && spare != nil && !moved; i++ {
		_ = d.walkShard(fmt.Sprintf("%02x", i), func(f file) error { // what can't be moved stays
			moved = moved || f.kind == actionFile && d.moveEntry(f.path, spare) == nil
			return nil
		})
	}
	return moved
}

// moveEntry moves the entry whose action file is at path to the directory to.
func (d *Dir) moveEntry(path string, to *Dir) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	e, err := parseAction(data)
	if err != nil {
		return err
	}
	body, err := openShared(d.bodyPath(e.Output))
	if err != nil {
		return err
	}
	defer body.Close()
	if _, err := to.Put(e, body); err != nil {
		return err
	}
	if now, err := os.ReadFile(path); err != nil || !bytes.Equal(now, data) {
		return errors.New("another process has put the action meanwhile")
	}
	return os.Remove(path)
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

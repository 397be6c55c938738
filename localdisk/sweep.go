package localdisk

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/robustio"
)

// file is one file of the cache.
type file struct {
	path  string
	kind  kind
	mtime time.Time
	size  int64 // in bytes; of a directory: that of the files in it
}

type kind int

const (
	otherFile kind = iota
	actionFile
	bodyFile // a directory, where it is an executable that Go keeps
	tempFile
)

// walk calls visit for every cache file and temporary file of d, one after the other.
// It passes over everything else, such as what lies beside the 256 subdirectories. If d
// does not exist, walk visits nothing. After an error it goes on; it returns the first
// one.
func (d *Dir) walk(visit func(file) error) error {
	info, err := os.Stat(d.root)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return &fs.PathError{Op: "open", Path: d.root, Err: errors.New("not a directory")}
	}
	var first error
	for i := range 256 {
		shard := fmt.Sprintf("%02x", i)
		err := d.walkShard(shard, visit)
		if first == nil && !errors.Is(err, fs.ErrNotExist) {
			first = err
		}
	}
	return first
}

func (d *Dir) walkShard(shard string, visit func(file) error) error {
	dir := filepath.Join(d.root, shard)
	// Read all names first: visit removes files, which may disturb the reading of a
	// directory.
	names, first := readNames(dir)
	for _, name := range names {
		k := kindOf(shard, name)
		if k == otherFile {
			continue
		}
		f, err := look(filepath.Join(dir, name), k)
		if err == nil {
			err = visit(f)
		}
		if first == nil && !errors.Is(err, fs.ErrNotExist) {
			first = err
		}
	}
	return first
}

func readNames(dir string) ([]string, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return f.Readdirnames(-1)
}

// kindOf returns the kind of the file called name in shard.
func kindOf(shard, name string) kind {
	if stem, ok := strings.CutSuffix(name, tempSuffix); ok {
		if len(stem) == tempDigits && isHex(stem) {
			return tempFile
		}
		return otherFile
	}
	if len(name) != idWidth+2 || !isHex(name[:idWidth]) || !strings.HasPrefix(name, shard) {
		return otherFile
	}
	switch name[idWidth:] {
	case "-a":
		return actionFile
	case "-d":
		return bodyFile
	}
	return otherFile
}

func isHex(s string) bool {
	_, err := hex.DecodeString(s)
	return err == nil && s == strings.ToLower(s)
}

func look(path string, k kind) (file, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return file{}, err
	}
	f := file{path: path, kind: k, mtime: info.ModTime(), size: info.Size()}
	if info.IsDir() {
		f.size = 0
		entries, err := os.ReadDir(path)
		if err != nil {
			return file{}, err
		}
		for _, entry := range entries {
			if info, err := entry.Info(); err == nil {
				f.size += info.Size()
			}
		}
	}
	return f, nil
}

// remove removes f, unless f has been used since cutoff or, on Windows, is open.
// Another process may have given out a body since the caller looked at it. So remove
// first renames the body, and then looks at it again. Get takes an entry for a miss if
// it cannot touch the body.
func remove(f file, cutoff time.Time) (removed bool, err error) {
	switch f.kind {
	case actionFile:
		err = os.Remove(f.path)
	case tempFile:
		err = os.RemoveAll(f.path)
	case bodyFile:
		aside := tempPath(filepath.Dir(f.path))
		if err = os.Rename(f.path, aside); err != nil {
			break
		}
		if putBack(aside, f.path, cutoff) {
			return false, nil
		}
		err = os.RemoveAll(aside)
	}
	if robustio.IsEphemeralError(err) {
		return false, nil
	}
	return err == nil, err
}

// putBack renames aside to path if the body has been used since cutoff. A put may have
// made a file at path meanwhile; that file has the same bytes.
func putBack(aside, path string, cutoff time.Time) bool {
	info, err := os.Lstat(aside)
	if err != nil || info.ModTime().Before(cutoff) {
		return false
	}
	return os.Rename(aside, path) == nil
}

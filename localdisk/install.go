package localdisk

import (
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strconv"

	"github.com/rogpeppe/go-internal/robustio"
)

const readme = `This directory holds build results that larder keeps for the go command, in
the go command's own cache format. It may be deleted at any time when no build
runs; "larder clean" and "larder prune" make it smaller.
`

// install makes the file at path appear whole or not at all. It calls write with a
// temporary file in the same folder, and then gives that file the name path.
func (d *Dir) install(path string, write func(*os.File) error) error {
	temp, err := d.writeTemp(filepath.Dir(path), write)
	if err != nil {
		return err
	}
	if err = robustio.Rename(temp, path); err != nil {
		_ = os.Remove(temp)
	}
	return err
}

// writeTemp creates a temporary file in shard, fills it by write, and returns its path.
// After an error no file stays.
func (d *Dir) writeTemp(shard string, write func(*os.File) error) (path string, err error) {
	f, err := d.createTemp(shard)
	if err != nil {
		return "", err
	}
	err = write(f)
	if errClose := f.Close(); err == nil {
		err = errClose
	}
	if err != nil {
		_ = os.Remove(f.Name())
		return "", err
	}
	return f.Name(), nil
}

// nameBody gives the body in temp the name path. A body that is there and can't be
// replaced, as on Windows while somebody has it open, stays if intact reports that it is as
// good as temp. Then nameBody removes temp. On Windows it replaces no intact body at all:
// at that moment nobody could open it, and a compiler that tries ends with an error.
func nameBody(temp, path string, intact func() bool) error {
	rename := os.Rename
	if runtime.GOOS == "windows" {
		rename = renameNew
	}
	if rename(temp, path) == nil {
		return nil
	}
	if intact() {
		return os.Remove(temp)
	}
	return robustio.Rename(temp, path)
}

// createTemp creates a temporary file in shard. It creates missing directories, too.
func (d *Dir) createTemp(shard string) (*os.File, error) {
	const flags = os.O_RDWR | os.O_CREATE | os.O_EXCL
	f, err := os.OpenFile(tempPath(shard), flags, 0o644)
	if !errors.Is(err, fs.ErrNotExist) {
		return f, err
	}
	if err := d.makeShard(shard); err != nil {
		return nil, err
	}
	return os.OpenFile(tempPath(shard), flags, 0o644)
}

// makeShard creates the directory shard of d, and d where it is missing.
func (d *Dir) makeShard(shard string) error {
	err := os.Mkdir(shard, 0o755)
	if errors.Is(err, fs.ErrNotExist) {
		if err := os.MkdirAll(d.root, 0o700); err != nil {
			return err
		}
		// Go writes a README only where there is none.
		_ = os.WriteFile(filepath.Join(d.root, "README"), []byte(readme), 0o644)
		err = os.Mkdir(shard, 0o755)
	}
	if errors.Is(err, fs.ErrExist) {
		return nil // somebody else has made it; if it is a file, the next open fails
	}
	return err
}

const (
	tempSuffix = ".tmp"
	tempDigits = 16
)

// tempPath returns a new name for a temporary file in shard. Neither Go's readers nor
// its trimming take a file with this suffix for theirs.
func tempPath(shard string) string {
	name := strconv.FormatUint(rand.Uint64()|1<<63, 16) // the bit keeps all digits
	return filepath.Join(shard, name+tempSuffix)
}

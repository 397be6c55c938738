package localdisk

import (
	"encoding/hex"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/larderbuild/larder/protocol"
)

// touchInterval is the age from which on a use renews a file's modification time. So
// the last use may be later than the modification time by this much. It is the go
// command's value.
const touchInterval = time.Hour

// Dir is a cache directory. Many goroutines may use it at once, and other processes
// and go commands may use the same directory at the same time.
type Dir struct {
	root    string
	now     func() time.Time
	writers sync.Pool // of *bodyWriter
}

// Entry says which body an action has put, and when.
type Entry struct {
	Action protocol.ActionID
	Output protocol.OutputID // SHA-256 of the body
	Size   int64             // of the body, in bytes
	Time   time.Time         // of the original put; written to the nanosecond
}

// New returns the cache directory at path, which must be absolute. It does not use
// the disk. Put creates the directories that are missing. Each method reports the
// errors that it meets.
func New(path string) *Dir {
	return &Dir{
		root:    filepath.Clean(path),
		now:     time.Now,
		writers: sync.Pool{New: func() any { return newBodyWriter() }},
	}
}

// Path returns the directory's path.
func (d *Dir) Path() string { return d.root }

func (d *Dir) actionPath(id protocol.ActionID) string { return d.idPath(id, "-a") }

func (d *Dir) bodyPath(id protocol.OutputID) string { return d.idPath(id, "-d") }

// idPath returns <root>/<xx>/<id><suffix>. It allocates once if the root is not
// unusually long.
func (d *Dir) idPath(id [32]byte, suffix string) string {
	var array [256]byte
	path := append(array[:0], d.root...)
	path = append(path, filepath.Separator)
	path = hex.AppendEncode(path, id[:1])
	path = append(path, filepath.Separator)
	path = hex.AppendEncode(path, id[:])
	return string(append(path, suffix...))
}

// touch records the use of the file at path, which was last modified at mtime. An
// error matters only if it says that the file is gone. After other errors, such as
// that of a read-only directory, the use is not recorded.
func (d *Dir) touch(path string, mtime time.Time) error {
	now := d.now()
	if now.Sub(mtime) < touchInterval {
		return nil
	}
	return os.Chtimes(path, now, now)
}

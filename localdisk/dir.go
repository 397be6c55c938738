package localdisk

import (
	"encoding/hex"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/larderbuild/larder/protocol"
)

// touchInterval is how old a modification time may be before use renews it,
// and hence by how much it may understate the last use. It is Go's.
const touchInterval = time.Hour

// Dir is a cache directory. It is safe for concurrent use, also by several
// processes, go commands included.
type Dir struct {
	root    string
	now     func() time.Time
	writers sync.Pool // of *bodyWriter
}

// Entry says what an action put.
type Entry struct {
	Action protocol.ActionID
	Output protocol.OutputID // SHA-256 of the body
	Size   int64             // of the body, in bytes
	Time   time.Time         // of the original put; written to the nanosecond
}

// New returns the cache directory at path, which must be absolute. It does not
// touch the disk: what is missing is created by Put, and every other trouble
// shows in the method that meets it.
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

// idPath returns <root>/<xx>/<id><suffix>, with one allocation where the root
// is of ordinary length.
func (d *Dir) idPath(id [32]byte, suffix string) string {
	var array [256]byte
	path := append(array[:0], d.root...)
	path = append(path, filepath.Separator)
	path = hex.AppendEncode(path, id[:1])
	path = append(path, filepath.Separator)
	path = hex.AppendEncode(path, id[:])
	return string(append(path, suffix...))
}

// touch records the use of a file that was last modified at mtime. Its error
// matters only where it says that the file is gone; elsewhere (a read-only
// directory) the use goes unrecorded.
func (d *Dir) touch(path string, mtime time.Time) error {
	now := d.now()
	if now.Sub(mtime) < touchInterval {
		return nil
	}
	return os.Chtimes(path, now, now)
}

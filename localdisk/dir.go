package localdisk

import (
	"encoding/hex"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/larderbuild/larder/protocol"
)

// touchInterval is how old a modification time must be before a use renews it. So a
// file may have been used that much later than its modification time says. Go has the
// same interval.
const touchInterval = time.Hour

// Dir is a cache directory. Many goroutines may use it at the same time, and so may
// many processes, go commands among them.
type Dir struct {
	root    string
	now     func() time.Time
	writers sync.Pool // of *bodyWriter
	place   *place    // nil: the directory lies where nobody else can write
	spare   *spare    // nil: there is none
}

// Entry says what an action put.
type Entry struct {
	Action protocol.ActionID
	Output protocol.OutputID // SHA-256 of the body
	Size   int64             // of the body, in bytes
	Time   time.Time         // of the original put; written to the nanosecond
}

// New returns the cache directory at path, which must be absolute. It does not touch
// the disk. Put creates what is missing; any other trouble is an error of the method
// that meets it.
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

// idPath returns <root>/<xx>/<id><suffix>. It allocates once, unless the root is
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

// touch records the use of a file that was last modified at mtime. Its error matters
// only if it says that the file is gone. After other errors, such as those of a
// read-only directory, the use stays unrecorded.
func (d *Dir) touch(path string, mtime time.Time) error {
	now := d.now()
	if now.Sub(mtime) < touchInterval {
		return nil
	}
	if err := os.Chtimes(path, now, now); err != nil {
		return err
	}
	// A trim may have renamed the file, and looked at its time, between the moment
	// at which Chtimes found it and the one at which it set its time.
	_, err := os.Stat(path)
	return err
}

package localdisk

import (
	"bufio"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"

	"github.com/larderbuild/larder/protocol"
)

// ErrContent says that a body is not the one that its entry names: its SHA-256 or
// its length differs.
var ErrContent = errors.New("body does not match its entry")

// Put stores body and then e, and returns the path of the stored body. It reads
// body to its end, but at most one byte more than e.Size. A later Put of the same
// action replaces the entry. After an error the action still has the entry that it
// had before, if any, and there is no temporary file; but the body may stay without
// an entry until a trim. The error wraps ErrContent if body does not match e,
// and otherwise the error of body or of the file system.
func (d *Dir) Put(e Entry, body io.Reader) (string, error) {
	path := d.bodyPath(e.Output)
	if err := d.put(e, path, body); err != nil {
		return "", fmt.Errorf("put %s: %w", e.Action, err)
	}
	return path, nil
}

func (d *Dir) put(e Entry, path string, body io.Reader) error {
	if err := checkRange(e); err != nil {
		return err
	}
	if err := d.putBody(e, path, body); err != nil {
		return err
	}
	var data [actionSize]byte
	action := appendAction(data[:0], e)
	return d.install(d.actionPath(e.Action), nil, func(f *os.File) error {
		_, err := f.Write(action)
		return err
	})
}

// putBody stores body, also if a file with its name exists. That file may be damaged,
// and to check it costs as much as to write it. An empty file can't be damaged, so
// putBody keeps it: more than a quarter of all puts have the empty body.
func (d *Dir) putBody(e Entry, path string, body io.Reader) error {
	if e.Size == 0 && d.touchIntact(path, e) {
		return d.copyBody(io.Discard, e, body)
	}
	intact := func() bool { return d.touchIntact(path, e) }
	return d.install(path, intact, func(f *os.File) error {
		return d.copyBody(f, e, body)
	})
}

// copyBody copies body to w and checks that it is the body of e.
func (d *Dir) copyBody(w io.Writer, e Entry, body io.Reader) error {
	b := d.writers.Get().(*bodyWriter)
	defer d.writers.Put(b)
	return b.copy(w, e, body)
}

// touchIntact reports whether the file at path is the body of e. If so, it records
// the use.
func (d *Dir) touchIntact(path string, e Entry) bool {
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() || info.Size() != e.Size {
		return false
	}
	if e.Size > 0 {
		f, err := os.Open(path)
		if err != nil {
			return false
		}
		defer f.Close()
		if d.copyBody(io.Discard, e, f) != nil {
			return false
		}
	}
	return !errors.Is(d.touch(path, info.ModTime()), os.ErrNotExist)
}

// bodyWriter copies bodies, one at a time. It is reused because of its buffer.
type bodyWriter struct {
	buf *bufio.Writer
	sum hash.Hash
}

func newBodyWriter() *bodyWriter {
	return &bodyWriter{bufio.NewWriterSize(nil, 64<<10), sha256.New()}
}

func (b *bodyWriter) copy(w io.Writer, e Entry, body io.Reader) error {
	b.sum.Reset()
	b.buf.Reset(io.MultiWriter(b.sum, w))
	defer b.buf.Reset(nil)
	// ReadFrom fills the buffer before it writes, even if body's reads are short.
	n, err := b.buf.ReadFrom(io.LimitReader(body, e.Size+1))
	if err == nil {
		err = b.buf.Flush()
	}
	if err != nil {
		return err
	}
	if n != e.Size {
		return fmt.Errorf("%w: %s is not of %d bytes", ErrContent, e.Output, e.Size)
	}
	var sum protocol.OutputID
	b.sum.Sum(sum[:0])
	if sum != e.Output {
		return fmt.Errorf("%w: %s is %s", ErrContent, e.Output, sum)
	}
	return nil
}

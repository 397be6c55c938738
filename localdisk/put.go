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

// ErrContent says that a body does not match its entry: the SHA-256 or the length
// differs.
var ErrContent = errors.New("body does not match its entry")

// Put stores body and then e, and returns the path of the stored body. It reads body to
// its end, or one byte past e.Size. A later Put of the same action wins. If Put fails,
// the action keeps the entry that it had, if any, and no temporary file stays. The body
// may stay without an entry, until it is trimmed. The error wraps ErrContent if the
// body is at fault, and otherwise the error of body or of the file system.
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
	return d.install(d.actionPath(e.Action), nil, e.writeAction)
}

// writeAction writes the contents of e's action file to f.
func (e Entry) writeAction(f *os.File) error {
	var data [actionSize]byte
	_, err := f.Write(appendAction(data[:0], e))
	return err
}

// putBody stores body, even if a file of its name exists: that file may be damaged, and
// writing it again costs no more than reading it. The empty body is an exception, since
// an empty file cannot be damaged. More than a quarter of all puts are of the empty
// body.
func (d *Dir) putBody(e Entry, path string, body io.Reader) error {
	if e.Size == 0 && d.touchIntact(path, e) {
		return d.copyBody(io.Discard, e, body)
	}
	intact := func() bool { return d.touchIntact(path, e) }
	return d.install(path, intact, func(f *os.File) error {
		return d.copyBody(f, e, body)
	})
}

// copyBody copies body to w and checks that it matches e.
func (d *Dir) copyBody(w io.Writer, e Entry, body io.Reader) error {
	b := d.writers.Get().(*bodyWriter)
	defer d.writers.Put(b)
	return b.copy(w, e, body)
}

// touchIntact reports whether the file at path holds the body of e. If it does,
// touchIntact records the use.
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

// bodyWriter copies one body after another, with one buffer.
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
	// ReadFrom gathers whole buffers, even if each Read of body returns little.
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

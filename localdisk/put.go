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
// body is at fault, and otherwise the error of body or of the file system. What the
// file system refuses goes to the spare directory; see [Dir.WithSpare].
func (d *Dir) Put(e Entry, body io.Reader) (string, error) {
	path, _, err := d.store(e, body, func(at *Dir) (isNew bool, err error) {
		err = at.install(at.actionPath(e.Action), e.writeAction)
		if err == nil && at != d {
			err = d.forget(e.Action)
		}
		return true, err
	})
	return path, err
}

// store stores body, and then e by putAction, which is given the directory that has the
// body.
func (d *Dir) store(e Entry, body io.Reader, putAction func(at *Dir) (isNew bool, err error)) (path string, isNew bool, err error) {
	at := d
	if err = checkRange(e); err == nil {
		at, err = d.putBody(e, body)
	}
	if err == nil {
		isNew, err = putAction(at)
		if spare := at.spareFor(err); spare != nil {
			if err = spare.copyBodyOf(e, at); err == nil {
				at = spare
				isNew, err = putAction(at)
			}
		}
	}
	if err == nil {
		err = at.checkPlace()
	}
	if err != nil {
		return "", false, fmt.Errorf("put %s: %w", e.Action, err)
	}
	return at.bodyPath(e.Output), isNew, nil
}

// copyBodyOf stores the body of e that from has.
func (d *Dir) copyBodyOf(e Entry, from *Dir) error {
	body, err := os.Open(from.bodyPath(e.Output))
	if err != nil {
		return err
	}
	defer body.Close()
	_, err = d.putBody(e, body)
	return err
}

// writeAction writes the contents of e's action file to f.
func (e Entry) writeAction(f *os.File) error {
	var data [actionSize]byte
	_, err := f.Write(appendAction(data[:0], e))
	return err
}

// forget removes the entry of action, since the spare directory has a later one.
func (d *Dir) forget(action protocol.ActionID) error {
	err := os.Remove(d.actionPath(action))
	if _, errGone := d.readAction(d.actionPath(action), action); errGone == nil {
		return err
	}
	return nil
}

// putBody stores body in d, or in the spare directory if the disk of d refuses it. It
// returns the directory that has the body. It writes the body even if a file of its
// name exists: that file may be damaged, and writing it again costs no more than
// reading it. The empty body is an exception, since an empty file cannot be damaged.
// More than a quarter of all puts are of the empty body.
func (d *Dir) putBody(e Entry, body io.Reader) (at *Dir, err error) {
	if e.Size == 0 && d.touchIntact(d.bodyPath(e.Output), e) {
		return d, d.copyBody(io.Discard, e, body)
	}
	f, err := d.newDraft(e)
	if err != nil {
		return nil, err
	}
	if err := d.copyBody(f, e, body); err != nil {
		f.discard()
		return nil, err
	}
	err = f.finish() // which may move it
	return f.dir, err
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
		f, err := openShared(path)
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

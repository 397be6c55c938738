package pack

import (
	"bytes"
	"crypto/md5"
	"crypto/sha256"
	"fmt"
	"io"
	"os"

	"github.com/klauspost/compress/zstd"

	"github.com/larderbuild/larder/entry"
)

// Writer writes a pack to a file. It must not be used by more than one goroutine at a
// time.
type Writer struct {
	// Thorough has the Writer take twice as long for a pack that is about a twentieth
	// smaller. It is unpacked as fast. It must be set before the first object.
	Thorough bool

	file   *os.File
	signer entry.Signer
	size   int64 // of the pack so far, in bytes

	encoder *zstd.Encoder    // nil before the first frame
	out     *io.OffsetWriter // of the frame that is being written; nil: none is
	frame   int64            // where that begins in the pack
	err     error            // that keeps the frame from being ended, and the Writer from going on
	at      int64            // bytes of the objects in it
}

// NewWriter returns a Writer that writes a pack to file, which must be empty. It signs
// the entry objects that it encodes as signer says. The caller must close file.
func NewWriter(file *os.File, signer entry.Signer) *Writer {
	return &Writer{file: file, signer: signer}
}

// Add appends the entry object of body to the pack, and returns where it lies. The caller
// sets the fields of h that entry.FramedHeader asks for. Add reads body to its end. It fails if
// body does not have h.BodySize bytes, and does not check that h.Output is its SHA-256.
// After an error the pack holds what it held before. If that can't be written, Add, Copy and
// Finish return the same error from then on.
func (w *Writer) Add(h entry.Header, body io.Reader) (Span, error) {
	h = entry.FramedHeader(h, w.signer)
	return w.append(io.MultiReader(bytes.NewReader(h.Append(nil)), body), h.ObjectSize())
}

// Copy appends the entry object of e, as another pack holds it, unchanged and with the
// signature that it has. The object is what a Reader has returned for e. Copy returns where
// it lies now. It fails as Add does.
func (w *Writer) Copy(e *Entry, object io.Reader) (Span, error) {
	return w.append(object, e.ObjectSize())
}

// append appends an object of size bytes to the pack.
func (w *Writer) append(object io.Reader, size int64) (Span, error) {
	if w.err != nil {
		return Span{}, w.err
	}
	if w.at+size > maxFrame {
		if err := w.EndFrame(); err != nil {
			return Span{}, err
		}
	}
	if w.out == nil {
		if err := w.beginFrame(); err != nil {
			return Span{}, err
		}
	}
	// The wrappers hide methods for which CopyBuffer would leave its buffer unused.
	n, err := io.CopyBuffer(struct{ io.Writer }{w.encoder}, struct{ io.Reader }{object}, make([]byte, 64<<10))
	if err == nil && n != size {
		err = fmt.Errorf("%w: an entry object of %d bytes, not %d", entry.ErrCorrupt, n, size)
	}
	if err == nil {
		err = w.encoder.Flush()
	}
	if err != nil {
		if failed := w.cutFrame(); failed != nil {
			return Span{}, failed // what is wrong with the object does not matter then
		}
		return Span{}, err
	}
	s := Span{Frame: w.frame, Offset: w.size, At: w.at}
	w.at += size
	w.grow()
	s.Length = w.size - s.Offset
	return s, nil
}

// beginFrame begins a frame behind what the pack holds.
func (w *Writer) beginFrame() error {
	if w.encoder == nil {
		level := zstd.SpeedDefault
		if w.Thorough {
			level = zstd.SpeedBetterCompression
		}
		var err error
		if w.encoder, err = newEncoder(level); err != nil {
			return err
		}
	}
	w.out = io.NewOffsetWriter(w.file, w.size)
	w.frame, w.at = w.size, 0
	w.encoder.Reset(w.out)
	return nil
}

// EndFrame has the next object begin a frame, so that nobody who wants that, or what stands
// behind it, has to read what stands before it.
func (w *Writer) EndFrame() error {
	if w.out == nil || w.err != nil {
		return w.err
	}
	if w.encoder.Close() != nil {
		return w.cutFrame()
	}
	w.grow()
	w.out, w.at = nil, 0
	return nil
}

// lastBlock ends a frame of zstd. It is a block of no bytes.
var lastBlock = []byte{1, 0, 0}

// cutFrame ends the frame behind its last object. What was written of another one is
// overwritten, or cut off when the pack ends.
func (w *Writer) cutFrame() error {
	if w.at > 0 {
		if _, w.err = w.file.WriteAt(lastBlock, w.size); w.err != nil {
			return w.err
		}
		w.size += int64(len(lastBlock))
	}
	w.out, w.at = nil, 0
	return nil
}

// grow makes what was written to the frame a part of the pack.
func (w *Writer) grow() {
	written, _ := w.out.Seek(0, io.SeekCurrent) // it has no way to fail
	w.size = w.frame + written
}

// Size returns the size of the pack so far, in bytes.
func (w *Writer) Size() int64 { return w.size }

// Finish returns the ID of the pack, its size in bytes, and its MD5, which a store
// checks. It leaves the position of the file at the start.
func (w *Writer) Finish() (id ID, size int64, sum [md5.Size]byte, err error) {
	if err := w.EndFrame(); err != nil {
		return id, 0, sum, err
	}
	if err := w.file.Truncate(w.size); err != nil { // cuts off an object that could not be appended
		return id, 0, sum, err
	}
	if _, err := w.file.Seek(0, io.SeekStart); err != nil {
		return id, 0, sum, err
	}
	sha, short := sha256.New(), md5.New()
	if _, err := io.CopyBuffer(io.MultiWriter(sha, short), struct{ io.Reader }{w.file}, make([]byte, 64<<10)); err != nil {
		return id, 0, sum, err
	}
	sha.Sum(id[:0])
	short.Sum(sum[:0])
	_, err = w.file.Seek(0, io.SeekStart)
	return id, w.size, sum, err
}

package pack

import (
	"crypto/md5"
	"crypto/sha256"
	"io"
	"os"

	"github.com/larderbuild/larder/entry"
)

// Writer writes a pack to a file. It must not be used by more than one goroutine at a
// time.
type Writer struct {
	// Thorough has Add take its time for smaller objects; see [entry.EncodeThoroughly].
	Thorough bool

	file   *os.File
	signer entry.Signer
	size   int64 // of the pack so far, in bytes
}

// NewWriter returns a Writer that writes a pack to file, which must be empty. It signs
// the entry objects that it encodes as signer says. The caller must close file.
func NewWriter(file *os.File, signer entry.Signer) *Writer {
	return &Writer{file: file, signer: signer}
}

// Add encodes the entry object of body, as entry.Encode does, and appends it to the
// pack. It returns the object's offset and length in bytes. After an error the pack is
// as it was before.
func (w *Writer) Add(h entry.Header, body io.ReadSeeker) (offset, length int64, err error) {
	if _, err := w.file.Seek(w.size, io.SeekStart); err != nil {
		return 0, 0, err
	}
	encode := entry.Encode
	if w.Thorough {
		encode = entry.EncodeThoroughly
	}
	h, err = encode(w.file, h, body, w.signer)
	if err != nil {
		return 0, 0, err
	}
	offset, length = w.grow(h.ObjectSize())
	return offset, length, nil
}

// Copy appends an entry object of another pack, unchanged and with the signature that it
// has. The object is what src holds up to its end. Copy returns the object's offset and
// length in bytes. After an error the pack is as it was before.
func (w *Writer) Copy(src io.Reader) (offset, length int64, err error) {
	if _, err := w.file.Seek(w.size, io.SeekStart); err != nil {
		return 0, 0, err
	}
	n, err := io.CopyBuffer(struct{ io.Writer }{w.file}, src, make([]byte, 64<<10))
	if err != nil {
		return 0, 0, err
	}
	offset, length = w.grow(n)
	return offset, length, nil
}

// grow makes the n bytes that stand behind the pack a part of it.
func (w *Writer) grow(n int64) (offset, length int64) {
	offset = w.size
	w.size += n
	return offset, n
}

// Size returns the size of the pack so far, in bytes.
func (w *Writer) Size() int64 { return w.size }

// Finish returns the ID of the pack, its size in bytes, and its MD5, which a store
// checks. It leaves the position of the file at the start.
func (w *Writer) Finish() (id ID, size int64, sum [md5.Size]byte, err error) {
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

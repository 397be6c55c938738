package pack

import (
	"crypto/md5"
	"crypto/sha256"
	"io"
	"os"

	"github.com/larderbuild/larder/entry"
)

// Writer writes a pack to a file. It is for one goroutine at a time.
type Writer struct {
	file *os.File
	by   entry.Signer
	size int64
}

// NewWriter returns a Writer to file, which is empty and remains the caller's, of
// a pack whose entry objects by signs.
func NewWriter(file *os.File, by entry.Signer) *Writer { return &Writer{file: file, by: by} }

// Add appends the entry object of body, as entry.Encode does, and returns where
// in the pack it lies. After an error the pack is as it was before.
func (w *Writer) Add(h entry.Header, body io.ReadSeeker) (offset, length int64, err error) {
	if _, err := w.file.Seek(w.size, io.SeekStart); err != nil {
		return 0, 0, err
	}
	h, err = entry.Encode(w.file, h, body, w.by)
	if err != nil {
		return 0, 0, err
	}
	offset, length = w.grow(entry.HeaderSize + h.PayloadSize)
	return offset, length, nil
}

// Copy appends an entry object of another pack, which is src to its end, as it is
// and with the signature it has, and returns where in the pack it lies. After an error the pack is as it was.
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

// grow takes the n bytes behind the end into the pack.
func (w *Writer) grow(n int64) (offset, length int64) {
	offset = w.size
	w.size += n
	return offset, n
}

// Finish returns the pack's ID, its size in bytes, and the MD5 that a store is
// to check, and leaves the file at its start.
func (w *Writer) Finish() (id ID, size int64, sum [md5.Size]byte, err error) {
	if err := w.file.Truncate(w.size); err != nil { // of what failed last
		return id, 0, sum, err
	}
	if _, err := w.file.Seek(0, io.SeekStart); err != nil {
		return id, 0, sum, err
	}
	long, short := sha256.New(), md5.New()
	if _, err := io.CopyBuffer(io.MultiWriter(long, short), struct{ io.Reader }{w.file}, make([]byte, 64<<10)); err != nil {
		return id, 0, sum, err
	}
	long.Sum(id[:0])
	short.Sum(sum[:0])
	_, err = w.file.Seek(0, io.SeekStart)
	return id, w.size, sum, err
}

package serve

import (
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/larderbuild/larder/backend"
)

// An object below cache/ in the store begins with a line that has the SHA-256 of the body
// behind it. So its ETag is known, and the body can be checked, before anything is sent.
const headLine = "larder cache 1 "

const headSize = len(headLine) + 2*sha256.Size + 1

// head returns the first line of an object.
func head(sum []byte) string { return fmt.Sprintf("%s%x\n", headLine, sum) }

var errHead = errors.New("the object does not begin as larder serve has them begin, or ends there")

// parseHead returns the SHA-256 that the first line of an object has.
func parseHead(line string) ([]byte, error) {
	digits, ok := strings.CutPrefix(line, headLine)
	sum, err := hex.DecodeString(strings.TrimSuffix(digits, "\n"))
	if !ok || err != nil || len(sum) != sha256.Size || head(sum) != line {
		return nil, errHead
	}
	return sum, nil
}

// openHeaded opens an object and reads its head. r is all of the object, or no more than the head.
// If the head is no good, openHeaded returns an object that has only a version, and an error
// that wraps ErrNotFound and errHead.
func (x *exchange) openHeaded(key string, r backend.Range) (*object, error) {
	o := &object{x: x, key: key}
	if err := o.openAt(x.r.Context(), r); err != nil {
		return nil, err
	}
	line := make([]byte, headSize)
	_, err := io.ReadFull(o.body, line)
	o.skip, o.size = int64(headSize), o.size-int64(headSize)
	switch err {
	case nil:
		if o.sum, err = parseHead(string(line)); err == nil && o.isLost() {
			err = errHead
		}
	case io.EOF, io.ErrUnexpectedEOF:
		err = errHead
	}
	if err != nil {
		o.close()
		if err != errHead {
			return nil, err
		}
		x.Log.Error("what is stored is no use", "key", key, "err", err)
		return o, fmt.Errorf("%w: %w", backend.ErrNotFound, err)
	}
	o.hash = sha256.New()
	return o, nil
}

// headed returns b with its head, as it is stored.
func (b *intake) headed() (*io.SectionReader, backend.PutOptions, error) {
	begin := head(b.sha256[:])
	all := io.NewSectionReader(&joined{begin, b}, 0, int64(len(begin))+b.size)
	sum := md5.New()
	if _, err := io.Copy(sum, all); err != nil {
		return nil, backend.PutOptions{}, err
	}
	_, err := all.Seek(0, io.SeekStart)
	return all, backend.PutOptions{Size: all.Size(), MD5: [md5.Size]byte(sum.Sum(nil))}, err
}

// joined is a text with more behind it.
type joined struct {
	begin string
	rest  io.ReaderAt
}

func (j *joined) ReadAt(p []byte, off int64) (n int, err error) {
	if off < int64(len(j.begin)) {
		n = copy(p, j.begin[off:])
		off += int64(n)
	}
	if n == len(p) {
		return n, nil
	}
	more, err := j.rest.ReadAt(p[n:], off-int64(len(j.begin)))
	return n + more, err
}

package serve

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/larderbuild/larder/backend"
)

// object is an object of the store, as a reader for http.ServeContent. It asks the store only
// for what is read.
type object struct {
	x       *exchange
	key     string
	skip    int64  // how many bytes of the object come before its body
	size    int64  // of the body, in bytes
	version string // of the object
	sum     []byte // SHA-256 of the body; nil: not known

	body io.ReadCloser // nil: none is open
	part bool          // it may end before the object does
	at   int64         // where it stands
	pos  int64         // where the next Read is to be
	hash hash.Hash     // of what was read from the beginning on; nil: not all of that was read
}

// simpleRange is a header that asks for one range.
var simpleRange = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^bytes=([0-9]{1,18})-([0-9]{0,18})$`)
})

// open opens the object under key: where the request wants to read, if it says so.
func (x *exchange) open(key string) (*object, error) {
	o := &object{x: x, key: key}
	if m := simpleRange().FindStringSubmatch(x.r.Header.Get("Range")); m != nil {
		first, _ := strconv.ParseInt(m[1], 10, 64) // 18 digits fit
		last, err := strconv.ParseInt(m[2], 10, 64)
		r := backend.Range{Offset: first}
		if err == nil && last >= first {
			r.Length = last - first + 1
		}
		switch err := o.openAt(x.r.Context(), r); {
		case err == nil, errors.Is(err, backend.ErrNotFound), errors.Is(err, backend.ErrDenied):
			return o, err
		} // else the range may lie behind the end
	}
	return o, o.openAt(x.r.Context(), backend.Range{})
}

// openAt opens a range, and learns what the object is.
func (o *object) openAt(ctx context.Context, r backend.Range) error {
	o.close()
	body, obj, err := o.x.Store.Get(ctx, o.key, r)
	if err != nil {
		return err
	}
	if o.version != "" && obj.Version != o.version {
		body.Close()
		return errChanged
	}
	o.body, o.at, o.size, o.version = body, r.Offset-o.skip, obj.Size-o.skip, obj.Version
	o.part, o.hash = r.Length > 0, nil
	if o.at == 0 && o.sum != nil {
		o.hash = sha256.New()
	}
	return nil
}

// emptySum is the SHA-256 of the empty body.
var emptySum = sha256.Sum256(nil)

// isLost reports whether nothing is left of the body, as after a power failure. Then an answer has
// no last bytes that Read could keep back.
func (o *object) isLost() bool {
	return o.size == 0 && o.sum != nil && !isEmptySum(o.sum)
}

var (
	errChanged = errors.New("the object was replaced while it was read")
	errDamaged = errors.New("the object does not have its SHA-256")
)

// close closes what is open.
func (o *object) close() {
	if o.body != nil {
		_ = o.body.Close() // it was read
		o.body = nil
	}
}

func (o *object) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += o.pos
	case io.SeekEnd:
		offset += o.size
	}
	if offset < 0 {
		return 0, errors.New("seek before the beginning")
	}
	o.pos = offset
	return offset, nil
}

// Read gives out the last bytes of a body that was read as a whole only if it has its SHA-256.
func (o *object) Read(p []byte) (int, error) {
	o.x.goOn()
	if o.pos >= o.size {
		return 0, io.EOF
	}
	if o.body == nil || o.at != o.pos {
		if err := o.openAt(o.x.r.Context(), backend.Range{Offset: o.skip + o.pos}); err != nil {
			return 0, o.fault(err)
		}
	}
	n, err := o.body.Read(p)
	if o.hash != nil {
		_, _ = o.hash.Write(p[:n])
	}
	o.at += int64(n)
	o.pos = o.at
	switch {
	case o.pos == o.size && o.hash != nil && string(o.hash.Sum(nil)) != string(o.sum):
		return 0, o.damaged()
	case err == io.EOF && o.pos < o.size && o.part:
		o.close() // the caller may want more than the range of the request
		return n, nil
	case err == io.EOF && o.pos < o.size:
		return n, o.fault(io.ErrUnexpectedEOF)
	case err == io.EOF:
		return n, nil
	}
	return n, o.fault(err)
}

// fault notes why the answer breaks off.
func (o *object) fault(err error) error {
	if err != nil && o.x.r.Context().Err() == nil {
		o.x.Log.Error("an answer breaks off", "key", o.key, "err", err)
	}
	return err
}

// send answers with the object, or a range of it, as the conditions of the request say.
func (o *object) send(etag string) { o.x.sendContent(etag, o) }

// sendContent answers with content, or a range of it, as the conditions of the request say.
func (x *exchange) sendContent(etag string, content io.ReadSeeker) {
	if strings.Contains(x.r.Header.Get("Range"), ",") {
		// Of several ranges a client gets all. ServeContent would read them on a goroutine
		// that may outlive the request.
		x.r.Header.Del("Range")
	}
	h := x.w.Header()
	h.Set("ETag", etag)
	h.Set("Content-Type", "application/octet-stream")
	http.ServeContent(x.w, x.r, "", time.Time{}, content)
}

// hexTag returns the ETag of a body with a SHA-256.
func hexTag(sum []byte) string { return fmt.Sprintf(`"sha256:%x"`, sum) }

package httpstore

import (
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/larderbuild/larder/backend"
)

// read returns the part r of the object in res, and the size of the whole object.
func (s *store) read(res *http.Response, r backend.Range) (body io.ReadCloser, size int64, err error) {
	if encoding := res.Header.Get("Content-Encoding"); encoding != "" && encoding != "identity" {
		return nil, 0, fmt.Errorf("the server has encoded the object as %.100q, which nobody asked for", encoding)
	}
	switch res.StatusCode {
	case http.StatusOK:
		if res.ContentLength < 0 {
			return nil, 0, errors.New("the answer does not say how long the object is (Content-Length)")
		}
		if r == (backend.Range{}) {
			return s.checked(res), res.ContentLength, nil
		}
		return cut(res.Body, r), res.ContentLength, nil // the server has no ranges
	case http.StatusPartialContent:
		size, err := checkRange(res, r)
		return res.Body, size, err
	case http.StatusRequestedRangeNotSatisfiable:
		_, err := fmt.Sscanf(res.Header.Get("Content-Range"), "bytes */%d", &size)
		if err == nil && size >= 0 && r.Offset >= size && r != (backend.Range{}) {
			res.Body.Close()
			return http.NoBody, size, nil
		}
	}
	return nil, 0, refusal(res)
}

// checkRange checks that res has the part r of an object, and returns the size of that.
func checkRange(res *http.Response, r backend.Range) (size int64, err error) {
	header := res.Header.Get("Content-Range")
	if size, err = backend.CheckContentRange(header, r); err != nil {
		return 0, err
	}
	want := size - r.Offset
	if r.Length > 0 {
		want = min(want, r.Length)
	}
	var first, last int64
	_, _ = fmt.Sscanf(header, "bytes %d-%d", &first, &last) // it was checked
	got := last - first + 1
	if got != want || want <= 0 || res.ContentLength >= 0 && res.ContentLength != got {
		return 0, fmt.Errorf("asked for %q, got Content-Range %.100q with %d bytes", r.Header(), header, res.ContentLength)
	}
	return size, nil
}

// cut returns the part r of whole. It reads what is before that, and closes whole in the end.
func cut(whole io.ReadCloser, r backend.Range) io.ReadCloser {
	part := &skipped{whole: whole, skip: r.Offset}
	if r.Length == 0 {
		return part
	}
	return struct {
		io.Reader
		io.Closer
	}{io.LimitReader(part, r.Length), whole}
}

// skipped is a reader without its first bytes.
type skipped struct {
	whole io.ReadCloser
	skip  int64
}

func (s *skipped) Read(p []byte) (int, error) {
	if s.skip > 0 {
		n, err := io.CopyN(io.Discard, s.whole, s.skip)
		if s.skip -= n; err != nil {
			return 0, err
		}
	}
	return s.whole.Read(p)
}

func (s *skipped) Close() error { return s.whole.Close() }

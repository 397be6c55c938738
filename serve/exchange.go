package serve

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"syscall"
	"time"
	"unicode/utf8"

	"github.com/larderbuild/larder/api"
	"github.com/larderbuild/larder/backend"
)

// exchange is one request and its answer.
type exchange struct {
	*Server
	w       http.ResponseWriter
	r       *http.Request
	control *http.ResponseController
}

// goOn says that the request makes progress. Servers that have no deadlines can do without.
func (x *exchange) goOn() {
	until := time.Now().Add(x.Progress)
	_ = x.control.SetReadDeadline(until)
	_ = x.control.SetWriteDeadline(until)
}

// pause says that the request waits for the store, which has time limits of its own.
func (x *exchange) pause() {
	_ = x.control.SetReadDeadline(time.Time{})
	_ = x.control.SetWriteDeadline(time.Time{})
}

// allows reports whether the request has one of methods. Otherwise it answers.
func (x *exchange) allows(methods ...string) bool {
	if slices.Contains(methods, x.r.Method) {
		return true
	}
	x.w.Header().Set("Allow", strings.Join(methods, ", "))
	fail(x.w, http.StatusMethodNotAllowed, "the method has to be one of "+strings.Join(methods, ", "))
	return false
}

// admits reports whether whoever asks may read, or write, scope. Otherwise it answers.
func (x *exchange) admits(scope string) bool {
	return x.admitsBy(scope, `Bearer realm="larder"`, `Basic realm="larder"`)
}

// admitsBy is admits with the ways that the answer names to say who one is.
func (x *exchange) admitsBy(scope string, ways ...string) bool {
	r := x.Access.rights(x.r)
	var allowed bool
	if x.r.Method == http.MethodGet || x.r.Method == http.MethodHead {
		allowed = r.reads(scope)
	} else {
		allowed = r.writes(scope)
	}
	switch {
	case allowed:
		return true
	case r.known:
		fail(x.w, http.StatusForbidden, "not allowed")
	default:
		x.w.Header()["Www-Authenticate"] = ways
		fail(x.w, http.StatusUnauthorized, "want a token or a certificate that the rules know")
	}
	return false
}

// refuse answers that the request has come to err, an error of the store or of the body.
func (x *exchange) refuse(err error) {
	var busy *backend.Busy
	var bad *badRequest
	h := x.w.Header()
	switch {
	case errors.As(err, &bad):
		if bad.reason != "" {
			h.Set(api.Reason, bad.reason)
		}
		fail(x.w, bad.status, bad.text)
	case errors.Is(err, backend.ErrNotFound):
		fail(x.w, http.StatusNotFound, "not found")
	case errors.Is(err, backend.ErrConflict):
		fail(x.w, http.StatusPreconditionFailed, "it is not what the condition says")
	case errors.Is(err, backend.ErrDigest):
		h.Set(api.Reason, api.Digest)
		fail(x.w, http.StatusBadRequest, "the body does not have the digest that was announced")
	case errors.Is(err, backend.ErrNoConditions):
		h.Set(api.Reason, api.NoConditions)
		fail(x.w, http.StatusNotImplemented, "the store has no conditional puts")
	case errors.Is(err, backend.ErrUnsupported):
		h.Set(api.Reason, api.Unsupported)
		fail(x.w, http.StatusNotImplemented, "the store can't do that")
	case errors.Is(err, backend.ErrReadOnly):
		fail(x.w, http.StatusForbidden, "the store is read-only")
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		x.Log.Error("the store is full", "err", err)
		fail(x.w, http.StatusInsufficientStorage, "the store is full")
	case errors.Is(err, syscall.ENOTDIR), errors.Is(err, syscall.EISDIR), errors.Is(err, fs.ErrExist):
		fail(x.w, http.StatusConflict, "there is an object whose key is the beginning of this one, or the other way round")
	case errors.As(err, &busy):
		if busy.After > 0 {
			h.Set("Retry-After", fmt.Sprint(int((busy.After+time.Second-1)/time.Second)))
		}
		fail(x.w, http.StatusServiceUnavailable, "the store is busy")
	case x.r.Context().Err() != nil, errors.Is(err, context.Canceled):
		fail(x.w, http.StatusRequestTimeout, "given up") // whom nobody hears
	default:
		x.Log.Error("a fault of the store", "err", err)
		fail(x.w, http.StatusBadGateway, "a fault of the store")
	}
}

// badRequest is what is wrong with a request.
type badRequest struct {
	status int
	reason string // for api.Reason; may be empty
	text   string
}

func (b *badRequest) Error() string { return b.text }

func bad(format string, args ...any) error {
	return &badRequest{status: http.StatusBadRequest, text: fmt.Sprintf(format, args...)}
}

// fail answers with an error.
func fail(w http.ResponseWriter, status int, line string) {
	w.Header().Del("ETag")
	text(w, status, line)
}

// text answers with a line.
func text(w http.ResponseWriter, status int, line string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = fmt.Fprintln(w, line) // to whoever still listens
}

// checkName returns an error unless name can be a part of a key. It may be empty if it is the
// last part of a path, which then stands for a folder.
func checkName(name string, last bool) error {
	switch {
	case name == "" && last:
		return nil
	case name == "", name == ".", name == "..":
		return errors.New("a part is ., .. or empty")
	case !utf8.ValidString(name):
		return errors.New("a part is not UTF-8")
	case strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f || r == '/' || r == '\\' }):
		return errors.New("a part has a slash, a backslash or a control character")
	case len(url.QueryEscape(name)) > maxName:
		return errors.New("a part is too long")
	}
	return nil
}

// loggedWriter notes what was answered.
type loggedWriter struct {
	http.ResponseWriter
	body   *countedBody // of the request
	status int
	bytes  int64
}

func (w *loggedWriter) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	if status >= 400 && !w.body.ended {
		// net/http would wait for the body before it answers, and then once more.
		w.Header().Set("Connection", "close")
		_ = http.NewResponseController(w.ResponseWriter).SetReadDeadline(time.Now().Add(farewell))
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *loggedWriter) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	n, err := w.ResponseWriter.Write(p)
	w.bytes += int64(n)
	return n, err
}

// farewell is how long the server takes in the body of a request that it has refused.
const farewell = time.Second

// countedBody is the body of a request. It counts the bytes that were read.
type countedBody struct {
	io.ReadCloser
	n     int64
	ended bool
}

func (b *countedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.n += int64(n)
	b.ended = b.ended || err == io.EOF
	return n, err
}

// Unwrap returns what has the deadlines.
func (w *loggedWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

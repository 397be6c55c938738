package serve

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/larderbuild/larder/grpc"
)

// exchange is one request and its answer.
type exchange struct {
	*Server
	w       *loggedWriter
	r       *http.Request
	control *http.ResponseController
}

// goOn says that the request makes progress. Servers that have no deadlines can do without.
func (x *exchange) goOn() {
	until := time.Now().Add(x.Progress)
	if end, ok := x.r.Context().Deadline(); ok && end.Before(until) {
		until = end
	}
	_ = x.control.SetReadDeadline(until)
	_ = x.control.SetWriteDeadline(until.Add(farewell)) // so that the answer can say why
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
	writes := x.r.Method != http.MethodGet && x.r.Method != http.MethodHead
	err := x.Access.rights(x.r).allow(scope, writes)
	if err != nil {
		x.refuse(err)
	}
	return err == nil
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
	body    *countedBody // of the request
	isHTTP1 bool
	status  int
	bytes   int64
	method  string    // of a call of gRPC, as Service/Method; "": it is none
	code    grpc.Code // of a call
}

func (w *loggedWriter) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	if status >= 400 && !w.body.ended && w.isHTTP1 {
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

// Unwrap returns what has the deadlines.
func (w *loggedWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

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

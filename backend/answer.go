package backend

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
)

// Bounds of what is read of an answer.
const (
	// maxAnswer holds a page of a List: 1000 objects with keys of 1 KiB, of
	// which XML and JSON make five or six where they escape every byte.
	maxAnswer = 8 << 20

	// maxShortAnswer holds every other answer many times over. Clients quote
	// errors whole, so it bounds what gets into a log, too.
	maxShortAnswer = 64 << 10
)

var errLongAnswer = errors.New("answer too long")

// LimitAnswers bounds what is read of the answers that rt gets, for drivers.
// Clients read all that a server sends: to decode it, to quote it in an error,
// or only to throw it away so that the connection can be used again.
//
// An answer that is longer than anything that a store has to say is an error of
// RoundTrip, since not every client tells of what it met while throwing away.
// What is too long of an error (a status of 300 or more) is cut off: its status
// says what matters. An object's body has no bound of its own, if the request
// is one of [ExpectObject]; its reader knows how long it may be.
func LimitAnswers(rt http.RoundTripper) http.RoundTripper { return limitedAnswers{rt} }

type limitedAnswers struct{ next http.RoundTripper }

func (l limitedAnswers) RoundTrip(req *http.Request) (*http.Response, error) {
	res, err := l.next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	taken, isObject := req.Context().Value(objectKey{}).(*atomic.Bool)
	switch {
	case res.StatusCode >= 300:
		res.Body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(res.Body, maxShortAnswer), res.Body}
		return res, nil
	case isObject:
		res.Body = &objectAnswer{res.Body, taken, maxShortAnswer}
		return res, nil
	case req.Method == http.MethodGet:
		return readAnswer(res, maxAnswer)
	}
	return readAnswer(res, maxShortAnswer)
}

// readAnswer reads the body of res beforehand. An error on the way is met again
// by whoever reads that far.
func readAnswer(res *http.Response, limit int64) (*http.Response, error) {
	data, err := io.ReadAll(io.LimitReader(res.Body, limit+1))
	res.Body.Close()
	if int64(len(data)) > limit {
		return nil, tooLong(limit)
	}
	var body io.Reader = bytes.NewReader(data)
	if err != nil {
		body = io.MultiReader(body, brokenReader{err})
	}
	res.Body = io.NopCloser(body)
	return res, nil
}

func tooLong(limit int64) error {
	return fmt.Errorf("%w: it has more than %d bytes, and is no object's", errLongAnswer, limit)
}

type brokenReader struct{ err error }

func (r brokenReader) Read([]byte) (int, error) { return 0, r.err }

type objectKey struct{}

// ExpectObject returns a context for the request of a Get, whose answer is an
// object's body. The driver calls take when its client has accepted the answer
// and the body is about to be given out; until then it is bounded like others,
// since a client that finds fault with a header throws away what follows.
func ExpectObject(ctx context.Context) (_ context.Context, take func()) {
	taken := new(atomic.Bool)
	return context.WithValue(ctx, objectKey{}, taken), func() { taken.Store(true) }
}

// objectAnswer is the answer to a request of ExpectObject.
type objectAnswer struct {
	io.ReadCloser
	taken *atomic.Bool
	left  int64 // that may be read before it is taken
}

func (a *objectAnswer) Read(p []byte) (int, error) {
	if a.taken.Load() {
		return a.ReadCloser.Read(p)
	}
	if a.left <= 0 {
		return 0, tooLong(maxShortAnswer)
	}
	n, err := a.ReadCloser.Read(p[:min(int64(len(p)), a.left)])
	a.left -= int64(n)
	return n, err
}

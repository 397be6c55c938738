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

// These limits say how many bytes of an answer are read.
const (
	// maxAnswer has room for a page of a List: 1000 objects with keys of 1 KiB,
	// each of whose bytes becomes five or six when XML or JSON escapes it.
	maxAnswer = 8 << 20

	// maxShortAnswer is many times the size of every other answer. Clients quote
	// errors whole, so it also limits what gets into a log.
	maxShortAnswer = 64 << 10
)

var errLongAnswer = errors.New("answer too long")

// LimitAnswers returns a RoundTripper for drivers that limits how much a client
// reads of the answers that rt gets. Clients read all that a server sends: they
// decode it, quote it in an error, or discard it so that they can use the
// connection again.
//
// If an answer is longer than any answer that a store gives, RoundTrip returns
// an error, because some clients don't report errors that they meet while they
// discard. An error (a status of 300 or more) that is too long is cut off: its
// status says what matters. An object's body has no limit, if the request's
// context comes from [ExpectObject]: its reader knows how long it may be.
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

// readAnswer reads the body of res before the client does. If that fails, the
// client gets the same bytes and then the same error.
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
// object's body. The driver calls take when its client has accepted the answer,
// before it gives the body out. Until then the body is limited to the size of a
// short answer, because a client that rejects a header discards what follows it.
func ExpectObject(ctx context.Context) (_ context.Context, take func()) {
	taken := new(atomic.Bool)
	return context.WithValue(ctx, objectKey{}, taken), func() { taken.Store(true) }
}

// objectAnswer is the body of an answer to a request whose context comes from
// ExpectObject.
type objectAnswer struct {
	io.ReadCloser
	taken *atomic.Bool
	left  int64 // bytes that may still be read before the driver calls take
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

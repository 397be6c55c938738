package gcs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/larderbuild/larder/backend"
)

// refusal is the error of an answer whose status is no success. Its text is short, because
// body may be a page of HTML.
type refusal struct {
	status int
	header http.Header
	body   string

	// What body says, if it is as GCS writes it. An answer to the request for an object is
	// plain text.
	reason, message string
}

// refused reads res, closes its body, and returns what it says.
func refused(res *http.Response) *refusal {
	body, _ := io.ReadAll(res.Body) // the status says what matters
	res.Body.Close()
	r := &refusal{status: res.StatusCode, header: res.Header, body: string(body)}
	var said struct {
		Error struct {
			Message string
			Errors  []struct{ Reason string }
		}
	}
	if json.Unmarshal(body, &said) == nil {
		r.message = said.Error.Message
		if len(said.Error.Errors) > 0 {
			r.reason = said.Error.Errors[0].Reason
		}
	}
	if r.reason == "" {
		r.reason = http.StatusText(r.status)
	}
	return r
}

func (r *refusal) Error() string {
	text := fmt.Sprintf("%d %s", r.status, r.reason)
	if r.message != "" {
		text += ": " + r.message
	}
	return text
}

// busy returns what r means if it says that there are too many requests.
func (r *refusal) busy() *backend.Busy {
	return &backend.Busy{After: backend.RetryAfter(r.header)}
}

// status returns the HTTP status of the answer err, or 0 if err is not an answer.
func status(err error) int {
	var r *refusal
	if errors.As(err, &r) {
		return r.status
	}
	return 0
}

// wrap wraps an error of a request. A caller whose request may get a 404 because key
// is missing calls the method missing first.
func (s *store) wrap(ctx context.Context, op, key string, err error) error {
	return s.wrapAnswer(ctx, op, key, err, classify)
}

// wrapAnswer is wrap for an operation whose answers classify knows.
func (s *store) wrapAnswer(ctx context.Context, op, key string, err error, classify func(error) error) error {
	return backend.WrapAnswer(ctx, op, key, s.bucket, err, classify)
}

// classify returns the error of package backend that the server's answer err
// means, or nil for a fault.
func classify(err error) error {
	var r *refusal
	if !errors.As(err, &r) {
		return nil
	}
	switch r.status {
	case http.StatusNotFound: // the bucket; the caller has handled a missing object
		return backend.ErrDenied
	case http.StatusUnauthorized:
		return backend.ErrDenied
	case http.StatusForbidden:
		if strings.Contains(r.body, "ateLimitExceeded") { // also userRateLimitExceeded
			return r.busy()
		}
		return backend.ErrDenied
	case http.StatusPreconditionFailed:
		return backend.ErrConflict
	case http.StatusBadRequest:
		if strings.Contains(r.body, "MD5 hash") {
			return backend.ErrDigest
		}
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		return r.busy()
	}
	return nil
}

// classifyPut is classify for an answer to a Put on a condition.
func classifyPut(err error, cond backend.Condition) error {
	conditional := cond != backend.Condition{}
	var r *refusal
	switch code := status(err); {
	case conditional && code == http.StatusNotImplemented:
		return backend.ErrNoConditions
	case conditional && code == http.StatusConflict:
		return backend.ErrConflict
	case errors.As(err, &r) && (code == http.StatusConflict || code == http.StatusTooManyRequests):
		busy := r.busy()
		busy.Object = true
		return busy
	}
	return classify(err)
}

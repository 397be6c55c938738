package gha

import (
	"cmp"
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/larderbuild/larder/backend"
)

// refusal is an answer that is no success: of the service, or of the storage behind its
// signed URLs.
type refusal struct {
	status  int    // of HTTP
	storage bool   // the storage has answered
	code    string // why, for machines
	message string // why, for people; without secrets
	after   time.Duration
}

func (r *refusal) Error() string {
	text := fmt.Sprintf("%d %s", r.status, cmp.Or(r.code, http.StatusText(r.status)))
	if r.message != "" {
		text += ": " + r.message
	}
	return text
}

// newRefusal reads res, which the service has answered.
func newRefusal(res *http.Response) *refusal {
	var said struct{ Code, Msg string }
	content, _ := io.ReadAll(res.Body)
	_ = json.Unmarshal(content, &said) // who is not the service says nothing of use
	return &refusal{
		status: res.StatusCode, code: said.Code, message: clean(said.Msg), after: backend.RetryAfter(res.Header),
	}
}

// newStorageRefusal reads res, which the storage has answered.
func newStorageRefusal(res *http.Response) *refusal {
	var said struct{ Message string }
	content, _ := io.ReadAll(res.Body)
	_ = xml.Unmarshal(content, &said)
	return &refusal{
		status: res.StatusCode, storage: true, code: res.Header.Get("X-Ms-Error-Code"),
		message: clean(said.Message), after: backend.RetryAfter(res.Header),
	}
}

// parameters are those of a URL.
var parameters = regexp.MustCompile(`\?\S*`)

// clean returns the first line of a message, without what may be the signature of a URL.
func clean(message string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(message), "\n")
	const longest = 300
	line = parameters.ReplaceAllString(line, "?…")
	return strings.ToValidUTF8(line[:min(len(line), longest)], "")
}

// Beginnings of what the service says, as GitHub's own client knows them.
const (
	writeDenied = "cache write denied"
	quotaIsHit  = "insufficient usage"
)

// wrap wraps err, which is of an operation on key. A nil err stays nil.
func wrap(ctx context.Context, op, key string, err error) error {
	var r *refusal
	if errors.As(err, &r) {
		meaning := r.meaning()
		if meaning != nil && (op == "get" || meaning != backend.ErrNotFound) {
			err = fmt.Errorf("%w: %w", meaning, err)
		}
	}
	return backend.Wrap(ctx, op, key, err)
}

// meaning returns the error of package backend that r means, or nil for a fault.
func (r *refusal) meaning() error {
	switch {
	case r.status == http.StatusTooManyRequests, r.status == http.StatusServiceUnavailable:
		return &backend.Busy{After: r.after}
	case r.storage:
		return r.meaningOfStorage()
	case strings.Contains(r.message, writeDenied):
		return backend.ErrReader
	case strings.Contains(r.message, quotaIsHit):
		return backend.ErrDenied
	}
	switch r.status {
	case http.StatusUnauthorized, http.StatusForbidden:
		return backend.ErrDenied
	case http.StatusNotFound:
		if r.code == "not_found" {
			return backend.ErrNotFound
		}
		return backend.ErrDenied // there is no cache service
	}
	return nil
}

func (r *refusal) meaningOfStorage() error {
	switch {
	case r.isExpiry():
		return nil
	case r.status == http.StatusForbidden:
		return backend.ErrDenied
	case r.isGone():
		return backend.ErrNotFound
	case r.code == "Md5Mismatch", r.code == "InvalidMd5",
		r.code == "InvalidOperation" && strings.Contains(r.message, "MD5"): // of Azurite
		return backend.ErrDigest
	}
	return nil
}

// isExpiry reports whether the storage has not accepted a signature. The service has just
// made it, so the time that it is good for is over.
func (r *refusal) isExpiry() bool {
	return r.storage && (r.status == http.StatusUnauthorized || r.status == http.StatusForbidden &&
		(r.code == "AuthenticationFailed" || strings.HasPrefix(r.message, "Server failed to authenticate"))) // of Azurite
}

// isGone reports whether the storage does not have what the service has named: it was
// removed a moment ago.
func (r *refusal) isGone() bool { return r.storage && r.code == "BlobNotFound" }

// needsURL reports whether err says that a signed URL is of no use any more.
func needsURL(err error) bool {
	var r *refusal
	return errors.As(err, &r) && (r.isExpiry() || r.isGone())
}

// hideURL returns an error of an HTTP client without the URL, which may be signed.
func hideURL(err error) error {
	var sent *url.Error
	if errors.As(err, &sent) {
		return sent.Err
	}
	return err
}

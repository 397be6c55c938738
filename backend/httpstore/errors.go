package httpstore

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/larderbuild/larder/api"
	"github.com/larderbuild/larder/backend"
)

// refusal returns the error that res means, which is no success.
func refusal(res *http.Response) error {
	err := newStatusError(res)
	switch res.StatusCode {
	case http.StatusNotFound, http.StatusGone:
		return fmt.Errorf("%w: %w", backend.ErrNotFound, err)
	case http.StatusPreconditionFailed:
		return fmt.Errorf("%w: %w", backend.ErrConflict, err)
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusProxyAuthRequired, http.StatusMethodNotAllowed:
		return fmt.Errorf("%w: %w", backend.ErrDenied, err)
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		return fmt.Errorf("%w: %w", &backend.Busy{After: backend.RetryAfter(res.Header)}, err)
	case http.StatusBadRequest:
		if res.Header.Get(api.Reason) == api.Digest {
			return fmt.Errorf("%w: %w", backend.ErrDigest, err)
		}
		return fmt.Errorf("%w: %w", backend.ErrDenied, err)
	case http.StatusNotImplemented:
		switch res.Header.Get(api.Reason) {
		case api.NoConditions:
			return fmt.Errorf("%w: %w", backend.ErrNoConditions, err)
		case api.Unsupported:
			return fmt.Errorf("%w: %w", backend.ErrUnsupported, err)
		}
		return fmt.Errorf("%w: %w", backend.ErrDenied, err)
	default:
		if res.StatusCode >= 300 && res.StatusCode < 400 {
			return redirected(res)
		}
	}
	return err
}

// redirected returns the error of an answer that points elsewhere: to a folder, which is no
// object, or to a place that the driver does not follow.
func redirected(res *http.Response) error {
	asked := res.Request.URL
	if to, err := res.Location(); err == nil && to.Path == asked.Path+"/" {
		return fmt.Errorf("%w: it is a folder", backend.ErrNotFound)
	}
	return fmt.Errorf("%w: %s to another place, which has to stand in the URL of the store", backend.ErrDenied, status(res))
}

// putRefusal returns the error of a Put that res means. That there is no place for an object
// does not mean that an object is missing.
func putRefusal(res *http.Response, conditional bool) error {
	why := ""
	switch res.StatusCode {
	case http.StatusNotFound, http.StatusGone:
		why = "the server takes no objects there"
	case http.StatusConflict:
		why = "the server makes no folders (of nginx: create_full_put_path on)"
	case http.StatusMethodNotAllowed:
		why = "the server takes no PUT there"
	case http.StatusPreconditionFailed:
		if !conditional {
			return newStatusError(res)
		}
	default:
		if res.StatusCode < 400 {
			why = "a PUT follows no redirect, so the place that takes it has to stand in the URL of the store"
		}
	}
	if why != "" {
		return fmt.Errorf("%w: %w: %s", backend.ErrDenied, newStatusError(res), why)
	}
	return refusal(res)
}

// listRefusal returns the error of a List that res means. That there is no list does not mean
// that an object is missing.
func listRefusal(res *http.Response) error {
	if err := refusal(res); !errors.Is(err, backend.ErrNotFound) {
		return err
	}
	return fmt.Errorf("%w: %s: the server lists nothing there", backend.ErrDenied, status(res))
}

// status returns the status of res, such as "403 Forbidden". It does not repeat what the server
// calls that.
func status(res *http.Response) string {
	return strings.TrimSpace(fmt.Sprint(res.StatusCode, " ", http.StatusText(res.StatusCode)))
}

// statusError is an answer that is no success.
type statusError struct {
	status string // such as "403 Forbidden"
	text   string // what the server says
}

func newStatusError(res *http.Response) *statusError { return &statusError{status(res), excerpt(res)} }

func (e *statusError) Error() string {
	if e.text == "" {
		return e.status
	}
	return e.status + ": " + e.text
}

const maxExcerpt = 200 // bytes

// excerpt returns the beginning of an answer's body, if that is a text for people.
func excerpt(res *http.Response) string {
	if !strings.HasPrefix(res.Header.Get("Content-Type"), "text/plain") {
		return ""
	}
	text, _ := io.ReadAll(io.LimitReader(res.Body, maxExcerpt)) // what came suffices
	return backend.FirstLine(string(text))
}

// hideURL returns what is wrong with a request, without its URL, which says nothing new. It cuts
// what is quoted of an answer.
func hideURL(err error) error {
	var at *url.Error
	if errors.As(err, &at) {
		err = at.Err
	}
	if text := err.Error(); len(text) > 2*maxExcerpt {
		return backend.Brief(strings.ToValidUTF8(text[:2*maxExcerpt], "")+"…", err)
	}
	return err
}

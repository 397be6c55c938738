package azblob

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"

	"github.com/larderbuild/larder/backend"
)

// wrap wraps an error of the SDK.
func (s *store) wrap(ctx context.Context, op, key string, err error) error {
	return s.wrapAnswer(ctx, op, key, err, classify)
}

// wrapAnswer is wrap for an operation whose answers classify knows.
func (s *store) wrapAnswer(ctx context.Context, op, key string, err error, classify func(error) error) error {
	return backend.WrapAnswer(ctx, op, key, s.name, s.explainExpiry(shorten(err)), classify)
}

// explainExpiry puts before err, if it is a refusal, that the SAS token is out of date. Not
// every server says so.
func (s *store) explainExpiry(err error) error {
	if status(err) != http.StatusForbidden || s.expiry.IsZero() || time.Now().Before(s.expiry) {
		return err
	}
	return fmt.Errorf("the SAS token was good until %s: %w", s.expiry.Format(time.RFC3339), err)
}

// classify returns the error of package backend that the server's answer err means, or
// nil for a fault. It looks at the code of the answer first, because the status is less
// precise: a missing container and a missing object are both 404.
func classify(err error) error {
	switch code(err) {
	case bloberror.BlobNotFound:
		return backend.ErrNotFound
	case bloberror.ContainerBeingDeleted, bloberror.ContainerDisabled,
		bloberror.BlobArchived, bloberror.BlobBeingRehydrated, bloberror.BlobImmutableDueToPolicy, // 409
		bloberror.InvalidAuthenticationInfo, bloberror.InvalidResourceName: // 400
		return backend.ErrDenied
	case bloberror.BlobAlreadyExists:
		return backend.ErrConflict
	case bloberror.MD5Mismatch, bloberror.InvalidMD5:
		return backend.ErrDigest
	case bloberror.InvalidOperation: // of Azurite
		if strings.Contains(err.Error(), "MD5") {
			return backend.ErrDigest
		}
	}
	switch status(err) {
	case http.StatusUnauthorized, http.StatusForbidden,
		http.StatusNotFound: // not an object, but a container or the account
		return backend.ErrDenied
	case http.StatusPreconditionFailed:
		return backend.ErrConflict
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		return &backend.Busy{After: retryAfter(err)}
	}
	return nil
}

// classifyPut is classify for an answer to a Put on a condition.
func classifyPut(err error, cond backend.Condition) error {
	meaning := classify(err)
	conditional := cond != backend.Condition{}
	switch {
	case conditional && meaning == backend.ErrNotFound:
		return backend.ErrConflict // there is no object, so If-Match can't hold
	case meaning == backend.ErrNotFound:
		return nil // of no sense here
	case conditional && refusesConditions(err):
		return backend.ErrNoConditions
	case meaning == backend.ErrDenied:
		return meaning
	case conditional && (status(err) == http.StatusConflict || interfered(err)):
		return backend.ErrConflict
	case !conditional && meaning == backend.ErrConflict, // with another Put under way, or a lease
		status(err) == http.StatusConflict, interfered(err),
		status(err) == http.StatusTooManyRequests:
		return &backend.Busy{Object: true, After: retryAfter(err)}
	}
	return meaning
}

// interfered reports whether the answer err, to a Put in blocks, says that blocks are
// gone: another Put of the same object ended meanwhile.
func interfered(err error) bool {
	return code(err) == bloberror.InvalidBlockList || code(err) == bloberror.InvalidBlobOrBlock
}

// refusesConditions reports whether the answer err, to a Put on a condition, says that the
// server knows no conditions.
func refusesConditions(err error) bool {
	switch code(err) {
	case bloberror.ConditionHeadersNotSupported, bloberror.UnsupportedHeader:
		return true
	}
	return status(err) == http.StatusNotImplemented
}

// code returns the code of the answer err, or "" if err is not an answer or has none.
func code(err error) bloberror.Code {
	var answer *azcore.ResponseError
	if errors.As(err, &answer) {
		return bloberror.Code(answer.ErrorCode)
	}
	return ""
}

// status returns the HTTP status of the answer err, or 0 if err is not an answer.
func status(err error) int {
	var answer *azcore.ResponseError
	if errors.As(err, &answer) {
		return answer.StatusCode
	}
	return 0
}

// retryAfter returns how long the answer err asks to wait.
func retryAfter(err error) time.Duration {
	var answer *azcore.ResponseError
	if errors.As(err, &answer) && answer.RawResponse != nil {
		return backend.RetryAfter(answer.RawResponse.Header)
	}
	return 0
}

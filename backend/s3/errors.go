package s3

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"

	"github.com/larderbuild/larder/backend"
)

// noCredentials says why there are none. It wraps ErrDenied.
type noCredentials struct{ err error }

func (e noCredentials) Error() string   { return "no AWS credentials: " + e.err.Error() }
func (e noCredentials) Unwrap() []error { return []error{backend.ErrDenied, e.err} }

// wrap wraps an error of the SDK.
func (s *store) wrap(ctx context.Context, op, key string, err error) error {
	return s.wrapAnswer(ctx, op, key, err, classify)
}

// wrapAnswer is wrap for an operation whose answers classify knows.
func (s *store) wrapAnswer(ctx context.Context, op, key string, err error, classify func(error) error) error {
	return backend.WrapAnswer(ctx, op, key, s.Bucket, explainRegion(shorten(err)), classify)
}

// classify returns the error of package backend that the server's answer err means, or
// nil for a fault. It looks at the code of the answer first, because the status is less
// precise: a missing bucket and a missing key are both 404.
func classify(err error) error {
	var api smithy.APIError
	if errors.As(err, &api) {
		switch api.ErrorCode() {
		case "NoSuchKey":
			return backend.ErrNotFound
		case "NoSuchBucket", "InvalidBucketName",
			"PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException", // not in this region
			"ExpiredToken", "InvalidToken", "TokenRefreshRequired": // these have status 400
			return backend.ErrDenied
		case "PreconditionFailed", "ConditionalRequestConflict":
			return backend.ErrConflict
		case "SlowDown", "TooManyRequests", "RequestLimitExceeded", "Throttling", "ThrottlingException":
			return &backend.Busy{After: retryAfter(err)}
		case "BadDigest", "InvalidDigest":
			return backend.ErrDigest
		case "RequestTimeTooSkewed":
			return nil // status 403, but the SDK adjusts its clock to the answer
		}
	}
	switch status(err) {
	case http.StatusUnauthorized, http.StatusForbidden,
		http.StatusMovedPermanently,
		http.StatusNotFound: // not a key, but a bucket, a user or the service
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
	case conditional && status(err) == http.StatusConflict:
		return backend.ErrConflict
	case !conditional && meaning == backend.ErrConflict, // with another Put under way
		status(err) == http.StatusConflict,
		status(err) == http.StatusTooManyRequests:
		return &backend.Busy{Object: true, After: retryAfter(err)}
	}
	return meaning
}

// refusesConditions reports whether the answer err, to a Put on a condition, says that
// the server knows no conditions.
func refusesConditions(err error) bool {
	var api smithy.APIError
	if status(err) == http.StatusNotImplemented || errors.As(err, &api) && api.ErrorCode() == "NotImplemented" {
		return true
	}
	if status(err) != http.StatusBadRequest || api == nil {
		return false
	}
	text := strings.ToLower(api.ErrorCode() + " " + api.ErrorMessage())
	return slices.ContainsFunc([]string{"if-match", "if-none-match", "conditional", "precondition"},
		func(word string) bool { return strings.Contains(text, word) })
}

// retryAfter returns how long the answer err asks to wait.
func retryAfter(err error) time.Duration {
	var answer *awshttp.ResponseError
	if errors.As(err, &answer) && answer.Response != nil {
		return backend.RetryAfter(answer.Response.Header)
	}
	return 0
}

// status returns the HTTP status of the answer err, or 0 if err is not an answer.
func status(err error) int {
	var answer *awshttp.ResponseError
	if errors.As(err, &answer) {
		return answer.HTTPStatusCode()
	}
	return 0
}

package s3

import (
	"errors"
	"fmt"
	"net/url"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"

	"github.com/larderbuild/larder/backend"
)

// shorten returns err, which the SDK returned, with a text that has what matters: of an
// answer the status, the code, the message and the ID of the request, and otherwise what
// went wrong on the way. A nil err stays nil.
func shorten(err error) error {
	var (
		answer *awshttp.ResponseError
		api    smithy.APIError
		none   noCredentials
		sent   *url.Error
		op     *smithy.OperationError
	)
	switch {
	case errors.As(err, &none):
		return backend.Brief(none.Error(), err)
	case errors.As(err, &answer) && errors.As(err, &api):
		text := fmt.Sprintf("%d %s", answer.HTTPStatusCode(), api.ErrorCode())
		if message := api.ErrorMessage(); message != "" {
			text += ": " + message
		}
		if id := answer.ServiceRequestID(); id != "" {
			text += " (request " + id + ")"
		}
		return backend.Brief(text, err)
	case errors.As(err, &sent):
		return backend.Brief(sent.Err.Error(), err)
	case errors.As(err, &op):
		return backend.Brief(op.Err.Error(), err)
	}
	return err
}

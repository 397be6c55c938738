package gcs

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"google.golang.org/api/googleapi"

	"github.com/larderbuild/larder/backend"
)

// shorten returns err, which the client returned, with a text that has what matters: of
// an answer the status, the reason and the message, and otherwise what went wrong on the
// way. A nil err stays nil.
func shorten(err error) error {
	var (
		answer *googleapi.Error
		sent   *url.Error
	)
	switch {
	case errors.As(err, &answer):
		answer = parsed(answer)
		reason := http.StatusText(answer.Code)
		if len(answer.Errors) > 0 {
			reason = answer.Errors[0].Reason
		}
		text := fmt.Sprintf("%d %s", answer.Code, reason)
		if answer.Message != "" {
			text += ": " + answer.Message
		}
		return backend.Brief(text, err)
	case errors.As(err, &sent):
		return backend.Brief(sent.Err.Error(), err)
	}
	return err
}

// parsed returns answer with what its body says. The client does not look at the body if
// the answer is to the request for an object.
func parsed(answer *googleapi.Error) *googleapi.Error {
	res := &http.Response{StatusCode: answer.Code, Header: answer.Header}
	errors.As(googleapi.CheckResponseWithBody(res, []byte(answer.Body)), &answer)
	return answer
}

package azblob

import (
	"cmp"
	"encoding/xml"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"

	"github.com/larderbuild/larder/backend"
)

// shorten returns err, which the SDK returned, with a text that has what matters: of an
// answer the status, the code, the message and the ID of the request, and otherwise what
// went wrong on the way. A nil err stays nil.
func shorten(err error) error {
	var (
		none   noCredentials
		answer *azcore.ResponseError
		sent   *url.Error
	)
	switch {
	case errors.As(err, &none):
		return backend.Brief(none.Error(), err)
	case errors.As(err, &answer):
		text := fmt.Sprintf("%d %s", answer.StatusCode, cmp.Or(answer.ErrorCode, http.StatusText(answer.StatusCode)))
		if said := message(answer.RawResponse); said != "" {
			text += ": " + said
		}
		if id := answer.RawResponse.Header.Get("X-Ms-Request-Id"); id != "" {
			text += " (request " + id + ")"
		}
		return backend.Brief(text, err)
	case errors.As(err, &sent):
		return backend.Brief(sent.Err.Error(), err)
	}
	return err
}

// message returns what an answer says for people: the first line of its message, because
// the others are for machines. If a time is wrong, that of a SAS token or this machine's, it
// is the detail that says so. Other details quote what was signed.
func message(res *http.Response) string {
	body, err := runtime.Payload(res) // which the SDK has read
	if err != nil {
		return ""
	}
	var said struct {
		Message string
		Detail  string `xml:"AuthenticationErrorDetail"`
	}
	if xml.Unmarshal(body, &said) != nil {
		return ""
	}
	for _, harmless := range []string{"Signature not valid in the specified time frame", "Request date header"} {
		if strings.HasPrefix(said.Detail, harmless) {
			return said.Detail
		}
	}
	line, _, _ := strings.Cut(strings.TrimSpace(said.Message), "\n")
	return strings.TrimSpace(line)
}

package backend

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"

	"golang.org/x/net/http/httpguts"
)

// Headers returns those that a variable adds to each request: name=value, separated by commas,
// with %2C for a comma in a value. Its errors name the variable, and repeat no value.
func Headers(variable string) (http.Header, error) {
	h := make(http.Header)
	for pair := range strings.SplitSeq(os.Getenv(variable), ",") {
		if strings.TrimSpace(pair) == "" {
			continue
		}
		name, escaped, found := strings.Cut(pair, "=")
		name = strings.TrimSpace(name)
		if !found || !httpguts.ValidHeaderFieldName(name) {
			return nil, errors.New(variable + ": want name=value,name=value, with %2C for a comma in a value")
		}
		value, err := url.PathUnescape(strings.TrimSpace(escaped))
		if err != nil || !httpguts.ValidHeaderFieldValue(value) {
			return nil, fmt.Errorf("%s: the value of %s is malformed: want %%25 for a percent sign, and no control characters", variable, name)
		}
		h.Add(name, value)
	}
	return h, nil
}

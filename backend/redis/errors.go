package redis

import (
	"context"
	"errors"
	"fmt"
	"strings"

	goredis "github.com/redis/go-redis/v9"

	"github.com/larderbuild/larder/backend"
)

// wrap is backend.Wrap for an error of a request.
func wrap(ctx context.Context, op, key string, err error) error {
	return backend.Wrap(ctx, op, key, classified(err))
}

// classified returns err with the error of package backend that it means. A fault stays as it
// is.
func classified(err error) error {
	text := serverError(err)
	for begin, means := range lasting {
		if strings.HasPrefix(text, begin) {
			return fmt.Errorf("%w: %w%s", backend.ErrDenied, err, means)
		}
	}
	switch code, _, _ := strings.Cut(text, " "); code {
	case "LOADING", "BUSY", "TRYAGAIN", "CLUSTERDOWN", "MASTERDOWN":
		return fmt.Errorf("%w: %w", &backend.Busy{}, err)
	}
	return err
}

// lasting are how errors begin that no further attempt changes, and what to do about them.
var lasting = map[string]string{
	"NOAUTH ":    "",
	"WRONGPASS ": "",
	"NOPERM ":    "",
	"MOVED ":     " (set cluster=true in the URL)",

	// These have no code.
	"ERR invalid password": "", // before Redis 6
	"ERR AUTH":             "",
	"ERR Client sent AUTH": "",
	"ERR Protocol error: unauthenticated multibulk length": "", // more than ten arguments
	"ERR DB index is out of range":                         "",
	"ERR SELECT is not allowed":                            "",
	"ERR unknown command":                                  "",
	"ERR This instance has cluster support disabled":       " (leave cluster=true out of the URL)",
}

// isWrongType reports whether err says that a key holds something of another kind.
func isWrongType(err error) bool { return strings.HasPrefix(serverError(err), "WRONGTYPE ") }

// serverError returns the text of an error that the server has sent, and "" for any other one.
func serverError(err error) string {
	var answer goredis.Error
	if errors.As(err, &answer) {
		return answer.Error()
	}
	return ""
}

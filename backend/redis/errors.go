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
	switch code, _, _ := strings.Cut(serverError(err), " "); code {
	case "NOAUTH", "WRONGPASS", "NOPERM":
		return fmt.Errorf("%w: %w", backend.ErrDenied, err)
	case "LOADING", "BUSY", "TRYAGAIN", "CLUSTERDOWN", "MASTERDOWN":
		return fmt.Errorf("%w: %w", &backend.Busy{}, err)
	case "ERR":
		for _, lasting := range lastingErrors {
			if strings.HasPrefix(serverError(err), lasting) {
				return fmt.Errorf("%w: %w", backend.ErrDenied, err)
			}
		}
	}
	return err
}

// lastingErrors are how errors begin that no attempt changes, though Redis gives them no code.
var lastingErrors = []string{
	"ERR invalid password", // before Redis 6
	"ERR AUTH",
	"ERR Client sent AUTH",
	"ERR Protocol error: unauthenticated", // a request of more than 16 KiB
	"ERR DB index is out of range",
	"ERR SELECT is not allowed",
	"ERR unknown command",
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

package reapi

import (
	"errors"
	"fmt"
	"strings"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/grpc"
)

// code returns how a call has failed, and OK if err is not of the server.
func code(err error) grpc.Code {
	var s *grpc.Status
	if errors.As(err, &s) {
		return s.Code
	}
	return grpc.OK
}

// failure returns the error of a call with the error of package backend that it means whatever
// the call was. What a missing blob or a wrong argument means is for the caller.
func failure(err error) error {
	if err == nil {
		return nil
	}
	var s *grpc.Status
	var other *grpc.NotGRPC
	errors.As(err, &s)
	err = backend.Brief(clean(err.Error()), err)
	switch {
	case errors.As(err, &other):
		return fmt.Errorf("%w: %w", backend.ErrDenied, err)
	case s == nil:
		return err
	}
	switch s.Code {
	case grpc.Unauthenticated, grpc.PermissionDenied:
		return fmt.Errorf("%w: %w", backend.ErrDenied, err)
	case grpc.Unimplemented:
		return fmt.Errorf("%w: not a REAPI cache: %w", backend.ErrDenied, err)
	case grpc.ResourceExhausted, grpc.Unavailable:
		return fmt.Errorf("%w: %w", &backend.Busy{After: s.RetryDelay}, err)
	}
	return err
}

// refused returns err, which a server has answered to an argument that it does not know, such as
// the name of an instance.
func (s *store) refused(err error) error {
	return fmt.Errorf("%w: %s: %w", backend.ErrDenied, s.name(), err)
}

// name returns what messages call the instance.
func (s *store) name() string {
	if s.Instance == "" {
		return "the default instance"
	}
	return fmt.Sprintf("instance %.100q", s.Instance)
}

// maxText is how many bytes of a text are repeated that a server may have written.
const maxText = 300

// clean returns the first line of text without what is not printed, and not all of a long one.
func clean(text string) string {
	line := backend.FirstLine(text)
	if len(line) > maxText {
		line = strings.ToValidUTF8(line[:maxText], "") + "…"
	}
	return line
}

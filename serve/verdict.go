package serve

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"syscall"
	"time"

	"github.com/larderbuild/larder/api"
	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/grpc"
)

// verdict is what becomes of a request that has failed: the answer over HTTP, and the one over gRPC.
type verdict struct {
	status int
	code   grpc.Code
	text   string
	reason string        // for api.Reason; may be empty
	after  time.Duration // when another attempt is due; 0: it does not say
}

func (v *verdict) Error() string { return v.text }

// bad returns the error of a request that is wrong.
func bad(format string, args ...any) error {
	return &verdict{status: http.StatusBadRequest, code: grpc.InvalidArgument, text: fmt.Sprintf(format, args...)}
}

// judge returns what err, an error of the store or of the request, means. It logs faults.
func (x *exchange) judge(err error) *verdict {
	var v *verdict
	var busy *backend.Busy
	switch {
	case errors.As(err, &v):
		return v
	case errors.Is(err, backend.ErrNotFound):
		return &verdict{status: http.StatusNotFound, code: grpc.NotFound, text: "not found"}
	case errors.Is(err, backend.ErrConflict):
		return &verdict{status: http.StatusPreconditionFailed, code: grpc.Aborted, text: "it is not what the condition says"}
	case errors.Is(err, backend.ErrDigest):
		return &verdict{status: http.StatusBadRequest, code: grpc.Unavailable, text: "the body does not have the digest that was announced", reason: api.Digest}
	case errors.Is(err, backend.ErrNoConditions):
		return &verdict{status: http.StatusNotImplemented, code: grpc.Unimplemented, text: "the store has no conditional puts", reason: api.NoConditions}
	case errors.Is(err, backend.ErrUnsupported):
		return &verdict{status: http.StatusNotImplemented, code: grpc.Unimplemented, text: "the store can't do that", reason: api.Unsupported}
	case errors.Is(err, backend.ErrReadOnly):
		return &verdict{status: http.StatusForbidden, code: grpc.PermissionDenied, text: "the store is read-only"}
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		x.Log.Error("the store is full", "err", err)
		return &verdict{status: http.StatusInsufficientStorage, code: grpc.ResourceExhausted, text: "the store is full"}
	case errors.Is(err, syscall.ENOTDIR), errors.Is(err, syscall.EISDIR), errors.Is(err, fs.ErrExist):
		return &verdict{status: http.StatusConflict, code: grpc.FailedPrecondition, text: "there is an object whose key is the beginning of this one, or the other way round"}
	case errors.As(err, &busy):
		return &verdict{status: http.StatusServiceUnavailable, code: grpc.Unavailable, text: "the store is busy", after: busy.After}
	case errors.Is(context.Cause(x.r.Context()), context.DeadlineExceeded): // which only calls of gRPC have
		return &verdict{status: http.StatusRequestTimeout, code: grpc.DeadlineExceeded, text: "the time has passed that the client gave"}
	case x.r.Context().Err() != nil, errors.Is(err, context.Canceled):
		return &verdict{status: http.StatusRequestTimeout, code: grpc.Canceled, text: "given up"} // whom nobody hears
	case errors.Is(err, errDamaged): // which was logged
		return &verdict{status: http.StatusBadGateway, code: grpc.DataLoss, text: "what is stored is damaged"}
	}
	x.Log.Error("a fault of the store", "err", err)
	return &verdict{status: http.StatusBadGateway, code: grpc.Unavailable, text: "a fault of the store"}
}

// refuse answers over HTTP that the request has come to err.
func (x *exchange) refuse(err error) {
	v := x.judge(err)
	h := x.w.Header()
	if v.reason != "" {
		h.Set(api.Reason, v.reason)
	}
	if v.after > 0 {
		h.Set("Retry-After", fmt.Sprint(int((v.after+time.Second-1)/time.Second)))
	}
	if v.status == http.StatusUnauthorized && h["Www-Authenticate"] == nil {
		h["Www-Authenticate"] = []string{`Bearer realm="larder"`, `Basic realm="larder"`}
	}
	fail(x.w, v.status, v.text)
}

// status returns err as what a client of gRPC is told. nil stands for OK.
func (x *exchange) status(err error) *grpc.Status {
	var s *grpc.Status
	switch {
	case err == nil:
		return &grpc.Status{}
	case errors.As(err, &s):
		return s
	}
	v := x.judge(err)
	return &grpc.Status{Code: v.code, Message: v.text, RetryDelay: v.after}
}

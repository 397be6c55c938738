package grpc

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Method answers a call. Its error is how the call has failed: a *Status, or any other one, which
// clients see as UNKNOWN.
type Method func(*Call) error

// Call is a call that a server answers. One goroutine may use it.
type Call struct {
	context    context.Context
	request    *http.Request
	writer     http.ResponseWriter
	maxMessage int64
}

// Context is done when the client has gone, or when the time has passed that it gave.
func (c *Call) Context() context.Context { return c.context }

// Receive sets m to the next message, and returns io.EOF behind the last one. Its errors can be
// the call's.
func (c *Call) Receive(m Unmarshaler) error {
	data, err := readFrame(c.request.Body, c.maxMessage)
	var large *tooLarge
	switch {
	case err == io.EOF:
		return io.EOF
	case errors.As(err, &large):
		return Errorf(ResourceExhausted, "%v", err)
	case err == errCompressed:
		return Errorf(Unimplemented, "compressed messages")
	case err != nil && c.context.Err() != nil:
		return endOf(c.context)
	case err != nil:
		return Errorf(Internal, "the messages break off: %v", err)
	}
	if err := m.Unmarshal(data); err != nil {
		return Errorf(Internal, "%v", err)
	}
	return nil
}

// ReceiveOnly sets m to the one message of a call that has only one.
func (c *Call) ReceiveOnly(m Unmarshaler) error {
	err := c.Receive(m)
	if err == nil {
		var more ignored
		if err = c.Receive(more); err == nil {
			return Errorf(Unimplemented, "more than one message, where one was due")
		}
	} else if err == io.EOF {
		return Errorf(Unimplemented, "no message, where one was due")
	}
	if err == io.EOF {
		return nil
	}
	return err
}

type ignored struct{}

func (ignored) Unmarshal([]byte) error { return nil }

// Send sends a message.
func (c *Call) Send(m Marshaler) error {
	if _, err := c.writer.Write(Frame(m)); err != nil {
		return err
	}
	return http.NewResponseController(c.writer).Flush()
}

// IsCall reports whether a request is a call of gRPC.
func IsCall(r *http.Request) bool {
	kind := r.Header.Get("Content-Type")
	return r.Method == http.MethodPost && r.ProtoMajor == 2 &&
		(kind == contentType || strings.HasPrefix(kind, contentType+"+proto") || strings.HasPrefix(kind, contentType+";"))
}

// Serve answers a call by a method, nil if there is none of that name. No message may be larger
// than maxMessage bytes. It returns the status, nil for OK.
func Serve(w http.ResponseWriter, r *http.Request, method Method, maxMessage int64) error {
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Grpc-Accept-Encoding", "identity")
	err := serve(w, r, method, maxMessage)
	s := &Status{}
	if err != nil && !errors.As(err, &s) {
		s = &Status{Code: Unknown, Message: err.Error()}
	}
	s.write(w.Header())
	w.WriteHeader(http.StatusOK) // if no message was sent
	return err
}

func serve(w http.ResponseWriter, r *http.Request, method Method, maxMessage int64) error {
	ctx := r.Context()
	if text := r.Header.Get("Grpc-Timeout"); text != "" {
		timeout, ok := parseTimeout(text)
		if !ok {
			return Errorf(Internal, "malformed grpc-timeout")
		}
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, timeout)
		defer cancel()
	}
	if method == nil {
		return Errorf(Unimplemented, "no such method: %s", r.URL.Path)
	}
	return method(&Call{ctx, r, w, maxMessage})
}

// endOf returns the status of a call whose context is done.
func endOf(ctx context.Context) error {
	if errors.Is(context.Cause(ctx), context.DeadlineExceeded) {
		return Errorf(DeadlineExceeded, "the time has passed that the client gave")
	}
	return Errorf(Canceled, "given up")
}

// parseTimeout reads the header grpc-timeout: up to eight digits and a unit.
func parseTimeout(text string) (time.Duration, bool) {
	if len(text) < 2 || len(text) > 9 {
		return 0, false
	}
	n, err := strconv.ParseUint(text[:len(text)-1], 10, 32)
	if err != nil {
		return 0, false
	}
	switch text[len(text)-1] {
	case 'H':
		return min(time.Duration(n), 1<<20) * time.Hour, true
	case 'M':
		return time.Duration(n) * time.Minute, true
	case 'S':
		return time.Duration(n) * time.Second, true
	case 'm':
		return time.Duration(n) * time.Millisecond, true
	case 'u':
		return time.Duration(n) * time.Microsecond, true
	case 'n':
		return time.Duration(n), true
	}
	return 0, false
}

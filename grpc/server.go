package grpc

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/larderbuild/larder/protobuf"
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
	answered   bool // a message was sent
}

// Context is done when the client has gone, or when the time has passed that it gave.
func (c *Call) Context() context.Context { return c.context }

// Receive sets m to the next message, and returns io.EOF behind the last one. Any other error is a
// *Status, which can be the call's.
func (c *Call) Receive(m protobuf.Unmarshaler) error {
	data, err := readFrame(c.request.Body, c.maxMessage)
	var large *tooLarge
	switch {
	case err == io.EOF:
		return io.EOF
	case errors.As(err, &large):
		return Errorf(ResourceExhausted, "%v", err)
	case err == errCompressed && isIdentity(c.request.Header.Get("Grpc-Encoding")):
		return Errorf(Internal, "%v, and no grpc-encoding says how", err)
	case err == errCompressed:
		return Errorf(Unimplemented, "%v: see grpc-accept-encoding", err)
	case err != nil && c.context.Err() != nil:
		return endOf(c.context)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return Errorf(DeadlineExceeded, "the messages do not come")
	case err != nil:
		return Errorf(Internal, "the messages break off: %v", err)
	}
	if err := m.Unmarshal(data); err != nil {
		return Errorf(Internal, "%v", err)
	}
	return nil
}

func isIdentity(encoding string) bool { return encoding == "" || encoding == "identity" }

// ReceiveOnly sets m to the one message of a call that has only one. Its error is as that of Receive.
func (c *Call) ReceiveOnly(m protobuf.Unmarshaler) error {
	switch err := c.Receive(m); {
	case err == io.EOF:
		return Errorf(Unimplemented, "no message, where one was due")
	case err != nil:
		return err
	}
	switch err := c.Receive(ignored{}); {
	case err == io.EOF:
		return nil
	case err != nil:
		return err
	}
	return Errorf(Unimplemented, "more than one message, where one was due")
}

type ignored struct{}

func (ignored) Unmarshal([]byte) error { return nil }

// Send sends a message. Its error is a *Status: the client has gone.
func (c *Call) Send(m protobuf.Marshaler) error {
	c.answered = true
	_, err := c.writer.Write(Frame(m))
	if err == nil {
		err = http.NewResponseController(c.writer).Flush()
	}
	switch {
	case err == nil:
		return nil
	case c.context.Err() != nil:
		return endOf(c.context)
	}
	return Errorf(Canceled, "the client takes no answer: %v", err)
}

// IsCall reports whether a request is a call of gRPC, with messages of protocol buffers.
func IsCall(r *http.Request) bool {
	return r.Method == http.MethodPost && r.ProtoMajor == 2 && isProto(r.Header)
}

// isProto reports whether a header is that of messages of protocol buffers in gRPC.
func isProto(h http.Header) bool {
	kind, _, _ := strings.Cut(h.Get("Content-Type"), ";")
	kind = strings.ToLower(strings.TrimSpace(kind))
	return kind == contentType || kind == contentType+"+proto"
}

// Serve answers a call by a method, nil if there is none of that name. It receives no message
// that is larger than maxMessage bytes. It returns how the call has ended.
func Serve(w http.ResponseWriter, r *http.Request, method Method, maxMessage int64) Status {
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Grpc-Accept-Encoding", "identity")
	c := &Call{context: r.Context(), request: r, writer: w, maxMessage: maxMessage}
	s := &Status{}
	if err := c.answer(method); err != nil && !errors.As(err, &s) {
		s = &Status{Code: Unknown, Message: err.Error()}
	}
	if c.answered {
		s.write(w.Header(), http.TrailerPrefix)
		return *s
	}
	// net/http says that an answer without messages has no bytes. Behind such a header nginx passes
	// no trailers on, so the header itself has the status.
	s.write(w.Header(), "")
	w.WriteHeader(http.StatusOK)
	return *s
}

// answer calls method, within the time that the client gives.
func (c *Call) answer(method Method) error {
	if text := c.request.Header.Get("Grpc-Timeout"); text != "" {
		timeout, ok := parseTimeout(text)
		if !ok {
			return Errorf(Internal, "malformed grpc-timeout: want up to eight digits, and H, M, S, m, u or n")
		}
		var cancel context.CancelFunc
		c.context, cancel = context.WithTimeout(c.context, timeout)
		defer cancel()
	}
	if method == nil {
		return Errorf(Unimplemented, "no such method: %s", c.request.URL.Path)
	}
	return method(c)
}

// endOf returns the status of a call whose context is done.
func endOf(ctx context.Context) error {
	if errors.Is(context.Cause(ctx), context.DeadlineExceeded) {
		return Errorf(DeadlineExceeded, "the time has passed that the client gave")
	}
	return Errorf(Canceled, "given up")
}

// maxHours is the longest timeout, in hours: a time.Duration has room for 2.5 million.
const maxHours = 1 << 20

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
		return min(time.Duration(n), maxHours) * time.Hour, true
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

package grpc

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/larderbuild/larder/protobuf"
)

const contentType = "application/grpc"

// Client calls the methods of one server. Many goroutines may use it.
type Client struct {
	Server     *url.URL     // scheme and host
	HTTP       *http.Client // speaks HTTP/2, and follows no redirects
	MaxMessage int64        // the largest message that is received, in bytes
}

// Call calls a method, such as /package.Service/Method, with one message, and sets answer to the
// one that comes. header goes with it. If the server says how the call has failed, the error is
// a *Status; otherwise it is one of the network.
func (c *Client) Call(ctx context.Context, method string, header http.Header, request protobuf.Marshaler, answer protobuf.Unmarshaler) error {
	s, err := c.Open(ctx, method, header, bytes.NewReader(Frame(request)))
	if err != nil {
		return err
	}
	defer s.Close()
	return s.ReceiveOnly(answer)
}

// Open calls a method with the messages in requests, which are read while the answer may come
// already: requests is used until Close. The caller closes the Stream.
func (c *Client) Open(ctx context.Context, method string, header http.Header, requests io.Reader) (*Stream, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.Server.JoinPath(method).String(), requests)
	if err != nil {
		return nil, err
	}
	for name, values := range header {
		req.Header[name] = values
	}
	req.Header.Set("Content-Type", contentType)
	req.Header.Set("Te", "trailers")
	res, err := c.HTTP.Do(req) //nolint:bodyclose // the Stream closes it
	if err != nil {
		var u *url.Error
		if errors.As(err, &u) {
			err = u.Err // without the URL
		}
		return nil, err
	}
	s := &Stream{res, c.MaxMessage}
	if err := s.check(); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// NotGRPC is the error of an answer that no server of gRPC gives.
type NotGRPC struct{ Why string }

func (e *NotGRPC) Error() string { return "not a server of gRPC: " + e.Why }

// Stream is the answer of a call. One goroutine may use it.
type Stream struct {
	res        *http.Response
	maxMessage int64
}

// check returns an error unless s is an answer of gRPC.
func (s *Stream) check() error {
	kind, _, _ := strings.Cut(s.res.Header.Get("Content-Type"), ";")
	isGRPC := kind == contentType || strings.HasPrefix(kind, contentType+"+")
	switch {
	case s.res.Header.Get(statusHeader) != "": // nothing else comes
		return statusOf(s.res.Header)
	case s.res.StatusCode != http.StatusOK:
		return &Status{Code: codeOf(s.res.StatusCode), Message: "HTTP status " + s.res.Status}
	case s.res.ProtoMajor != 2 || !isGRPC:
		return &NotGRPC{fmt.Sprintf("it answers with %s and %.100q", s.res.Proto, kind)}
	}
	return nil
}

// Receive sets m to the next message. It returns io.EOF behind the last one of a call that has
// succeeded.
func (s *Stream) Receive(m protobuf.Unmarshaler) error {
	data, err := readFrame(s.res.Body, s.maxMessage)
	switch {
	case err == io.EOF:
		if err := statusOf(s.res.Trailer); err != nil {
			return err
		}
		return io.EOF
	case err != nil:
		return err
	}
	return m.Unmarshal(data)
}

// ReceiveOnly sets m to the one message of a call that has succeeded.
func (s *Stream) ReceiveOnly(m protobuf.Unmarshaler) error {
	if err := s.Receive(m); err != nil {
		if err == io.EOF {
			return io.ErrUnexpectedEOF
		}
		return err
	}
	switch err := s.Receive(m); {
	case err == io.EOF:
		return nil
	case err != nil:
		return err
	}
	return errors.New("more than one message, where one was due")
}

// Close ends the call, also before all has come.
func (s *Stream) Close() { _ = s.res.Body.Close() }

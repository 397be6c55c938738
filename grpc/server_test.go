package grpc_test

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	bspb "google.golang.org/genproto/googleapis/bytestream"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	googlegrpc "google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	_ "google.golang.org/grpc/encoding/gzip" // a compressor for a test
	"google.golang.org/grpc/status"

	"github.com/larderbuild/larder/grpc"
	"github.com/larderbuild/larder/reapi"
)

const maxMessage = 1000

// serverOf starts a server with one method, for every path.
func serverOf(t *testing.T, method grpc.Method) *httptest.Server {
	t.Helper()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !grpc.IsCall(r) {
			http.Error(w, "no call", http.StatusUnsupportedMediaType)
			return
		}
		grpc.Serve(w, r, method, maxMessage)
	}))
	server.Config.Protocols = protocols()
	server.Start()
	t.Cleanup(server.Close)
	return server
}

func protocols() *http.Protocols {
	p := new(http.Protocols)
	p.SetUnencryptedHTTP2(true)
	return p
}

// stub returns a client of the usual library.
func stub(t *testing.T, server *httptest.Server) bspb.ByteStreamClient {
	t.Helper()
	conn, err := googlegrpc.NewClient("passthrough:///"+server.Listener.Addr().String(), googlegrpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return bspb.NewByteStreamClient(conn)
}

// ours returns larder's client.
func ours(t *testing.T, server *httptest.Server) *grpc.Client {
	t.Helper()
	transport := &http.Transport{Protocols: protocols()}
	t.Cleanup(transport.CloseIdleConnections)
	u, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	return &grpc.Client{Server: u, HTTP: &http.Client{Transport: transport}, MaxMessage: maxMessage}
}

// TestStatus: how a call fails arrives as it was sent, at the usual client and at larder's.
func TestStatus(t *testing.T) {
	t.Parallel()
	for _, want := range []grpc.Status{
		{Code: grpc.NotFound},
		{Code: grpc.InvalidArgument, Message: "100 % größer\r\nthan \"that\" \x7f€ %41 %"},
		{Code: grpc.Unavailable, Message: "busy", RetryDelay: 1500 * time.Millisecond},
		{Code: grpc.Unauthenticated, Message: strings.Repeat("long ", 100)},
		{Code: 99, Message: "later"},
	} {
		server := serverOf(t, func(*grpc.Call) error { return fmt.Errorf("wrapped: %w", want.Err()) })
		_, err := stub(t, server).QueryWriteStatus(t.Context(), &bspb.QueryWriteStatusRequest{})
		got := status.Convert(err)
		if got.Code() != codes.Code(want.Code) || got.Message() != want.Message {
			t.Errorf("the usual client: %v, want %v", err, &want)
		}
		if want.RetryDelay > 0 {
			if d := got.Details(); len(d) != 1 || d[0].(*errdetails.RetryInfo).RetryDelay.AsDuration() != want.RetryDelay {
				t.Errorf("details: %v", d)
			}
		}
		var s *grpc.Status
		err = ours(t, server).Call(t.Context(), reapi.QueryWriteStatus, nil, &reapi.QueryWriteStatusRequest{}, &reapi.QueryWriteStatusResponse{})
		if !errors.As(err, &s) || *s != want {
			t.Errorf("larder's client: %v, want %v", err, &want)
		}
	}
	server := serverOf(t, func(*grpc.Call) error { return errors.New("no status") })
	_, err := stub(t, server).QueryWriteStatus(t.Context(), &bspb.QueryWriteStatusRequest{})
	if got := status.Convert(err); got.Code() != codes.Unknown || got.Message() != "no status" {
		t.Error(err)
	}
	_, err = stub(t, serverOf(t, nil)).QueryWriteStatus(t.Context(), &bspb.QueryWriteStatusRequest{})
	if status.Code(err) != codes.Unimplemented {
		t.Errorf("no method: %v", err)
	}
}

// TestStreams: messages go both ways, many of them and empty ones.
func TestStreams(t *testing.T) {
	t.Parallel()
	c := stub(t, serverOf(t, func(c *grpc.Call) error {
		var all []byte
		for {
			var q reapi.WriteRequest
			if err := c.Receive(&q); err == io.EOF {
				break
			} else if err != nil {
				return err
			}
			all = append(all, q.Data...)
		}
		for range 100 {
			if err := c.Send(&reapi.ReadResponse{Data: all}); err != nil {
				return err
			}
		}
		return c.Send(&reapi.ReadResponse{})
	}))
	s, err := c.Read(t.Context(), &bspb.ReadRequest{ResourceName: "ignored"})
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for {
		if _, err := s.Recv(); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		n++
	}
	if n != 101 {
		t.Errorf("%d messages", n)
	}
}

// TestTimeout: the server knows how long the client waits, and ends the call by itself.
func TestTimeout(t *testing.T) {
	t.Parallel()
	left := make(chan time.Duration, 1)
	ended := make(chan error, 1)
	c := stub(t, serverOf(t, func(c *grpc.Call) error {
		until, _ := c.Context().Deadline()
		left <- time.Until(until)
		<-c.Context().Done()
		ended <- context.Cause(c.Context())
		return nil
	}))
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err := c.QueryWriteStatus(ctx, &bspb.QueryWriteStatusRequest{})
	if status.Code(err) != codes.DeadlineExceeded {
		t.Error(err)
	}
	if l := <-left; l <= 0 || l > 100*time.Millisecond {
		t.Errorf("the server thinks that %v are left", l)
	}
	<-ended
}

// send sends a request as it is. It returns the answer with its trailers.
func send(t *testing.T, server *httptest.Server, body io.Reader, header ...string) *http.Response {
	t.Helper()
	transport := &http.Transport{Protocols: protocols()}
	defer transport.CloseIdleConnections()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+reapi.QueryWriteStatus, body)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/grpc")
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := transport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		t.Fatal(err)
	}
	return res
}

// TestMalformedCalls: what is no sound call gets the status that gRPC's documentation says.
func TestMalformedCalls(t *testing.T) {
	t.Parallel()
	server := serverOf(t, func(c *grpc.Call) error {
		var q reapi.QueryWriteStatusRequest
		if err := c.ReceiveOnly(&q); err != nil {
			return err
		}
		return c.Send(&reapi.QueryWriteStatusResponse{CommittedSize: int64(len(q.ResourceName))})
	})
	sound := grpc.Frame(&reapi.QueryWriteStatusRequest{ResourceName: "name"})
	compressed := append([]byte{1}, sound[1:]...)
	for _, row := range []struct {
		name   string
		body   []byte
		header []string
		want   grpc.Code
	}{
		{"sound", sound, nil, grpc.OK},
		{"with a type", sound, []string{"Content-Type", "application/grpc+proto; x=y"}, grpc.OK},
		{"no message", nil, nil, grpc.Unimplemented},
		{"two messages", append(bytes.Clone(sound), sound...), nil, grpc.Unimplemented},
		{"an empty message", make([]byte, 5), nil, grpc.OK},
		{"compressed", compressed, []string{"Grpc-Encoding", "gzip"}, grpc.Unimplemented},
		{"compressed, it does not say how", compressed, nil, grpc.Internal},
		{"neither compressed nor not", append([]byte{2}, sound[1:]...), nil, grpc.Internal},
		{"too large", append([]byte{0, 0, 0, 3, 233}, make([]byte, 1001)...), nil, grpc.ResourceExhausted},
		{"as large as it may be, and no message", append([]byte{0, 0, 0, 3, 232}, make([]byte, 1000)...), nil, grpc.Internal},
		{"too large, and does not come", []byte{0, 255, 255, 255, 255}, nil, grpc.ResourceExhausted},
		{"half a head", sound[:3], nil, grpc.Internal},
		{"half a message", sound[:7], nil, grpc.Internal},
		{"a head alone", sound[:5], nil, grpc.Internal},
		{"no message of protocol buffers", append([]byte{0, 0, 0, 0, 2}, 0x0a, 0x7f), nil, grpc.Internal},
		{"malformed timeout", sound, []string{"Grpc-Timeout", "1"}, grpc.Internal},
		{"timeout of nine digits", sound, []string{"Grpc-Timeout", "123456789S"}, grpc.Internal},
		{"timeout without a number", sound, []string{"Grpc-Timeout", "-1S"}, grpc.Internal},
		{"timeout of another unit", sound, []string{"Grpc-Timeout", "1d"}, grpc.Internal},
		{"a timeout of all hours", sound, []string{"Grpc-Timeout", "99999999H"}, grpc.OK},
		{"a timeout of minutes", sound, []string{"Grpc-Timeout", "99999999M"}, grpc.OK},
	} {
		res := send(t, server, bytes.NewReader(row.body), row.header...)
		got := cmp.Or(res.Trailer.Get("Grpc-Status"), res.Header.Get("Grpc-Status")) // the latter without messages
		if got != fmt.Sprint(int(row.want)) || res.StatusCode != http.StatusOK || res.Header.Get("Content-Type") != "application/grpc" {
			t.Errorf("%s: status %s, want %d: %v %v", row.name, got, row.want, res.Header, res.Trailer)
		}
		if res.Header.Get("Grpc-Accept-Encoding") != "identity" {
			t.Errorf("%s: %v", row.name, res.Header)
		}
	}
	_, err := stub(t, server).QueryWriteStatus(t.Context(), &bspb.QueryWriteStatusRequest{ResourceName: strings.Repeat("name", 50)}, googlegrpc.UseCompressor("gzip"))
	if status.Code(err) != codes.Unimplemented {
		t.Errorf("gzip: %v", err)
	}
	for _, kind := range []string{"", "application/json", "application/grpc-web", "application/grpc+json", "application/grpcx"} {
		if res := send(t, server, bytes.NewReader(sound), "Content-Type", kind); res.StatusCode != http.StatusUnsupportedMediaType {
			t.Errorf("%q: %s", kind, res.Status)
		}
	}
}

// FuzzServe: whatever a body is, the call ends with a status, and nothing panics.
func FuzzServe(f *testing.F) {
	f.Add(grpc.Frame(&reapi.QueryWriteStatusRequest{ResourceName: "name"}), "1S", "gzip")
	f.Fuzz(func(t *testing.T, body []byte, timeout, encoding string) {
		r := httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(body))
		r.Header.Set("Grpc-Timeout", timeout)
		r.Header.Set("Grpc-Encoding", encoding)
		w := httptest.NewRecorder()
		s := grpc.Serve(w, r, func(c *grpc.Call) error {
			for {
				var q reapi.WriteRequest
				if err := c.Receive(&q); err == io.EOF {
					return nil
				} else if err != nil {
					return err
				}
			}
		}, maxMessage)
		res := w.Result()
		got := cmp.Or(res.Trailer.Get("Grpc-Status"), res.Header.Get("Grpc-Status"))
		if got != fmt.Sprint(int(s.Code)) || s.Code == grpc.Unknown {
			t.Errorf("%v: the answer says %q", s, got)
		}
	})
}

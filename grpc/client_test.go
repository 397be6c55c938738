package grpc_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/larderbuild/larder/grpc"
	"github.com/larderbuild/larder/protobuf"
)

// text is a message with one string.
type text string

func (t text) Marshal() []byte { return protobuf.AppendString(nil, 1, string(t)) }

func (t *text) Unmarshal(data []byte) error {
	*t = ""
	return protobuf.Fields(data, func(f protobuf.Field) error {
		if f.Number == 1 {
			*t = text(f.String())
		}
		return nil
	})
}

// answering is a server that gives one answer.
type answering func(*http.Request) *http.Response

func (a answering) RoundTrip(r *http.Request) (*http.Response, error) { return a(r), nil }

// answer returns the answer of a server of gRPC.
func answer(body []byte, trailer http.Header) *http.Response {
	return &http.Response{
		Status: "200 OK", StatusCode: http.StatusOK, ProtoMajor: 2, Proto: "HTTP/2.0",
		Header: http.Header{"Content-Type": {"application/grpc+proto"}}, Trailer: trailer, Body: io.NopCloser(bytes.NewReader(body)),
	}
}

func call(a answering, got protobuf.Unmarshaler) error {
	c := grpc.Client{Server: &url.URL{Scheme: "http", Host: "host"}, HTTP: &http.Client{Transport: a}, MaxMessage: 1 << 16}
	return c.Call(context.Background(), "/package.Service/Method", http.Header{"X-A": {"b"}}, text("question"), got)
}

var ok = http.Header{"Grpc-Status": {"0"}}

func TestCall(t *testing.T) {
	t.Parallel()
	var got text
	err := call(func(r *http.Request) *http.Response {
		body, _ := io.ReadAll(r.Body)
		if r.Method != http.MethodPost || r.URL.Path != "/package.Service/Method" || r.Header.Get("Te") != "trailers" ||
			r.Header.Get("Content-Type") != "application/grpc" || r.Header.Get("X-A") != "b" || !bytes.Equal(body, grpc.Frame(text("question"))) {
			t.Errorf("asked %s %s with %v, %q", r.Method, r.URL, r.Header, body)
		}
		return answer(grpc.Frame(text("answer")), ok)
	}, &got)
	if err != nil || got != "answer" {
		t.Errorf("%q, %v", got, err)
	}
}

// TestAnswers: what answers come to that are no success.
func TestAnswers(t *testing.T) {
	t.Parallel()
	good := grpc.Frame(text("answer"))
	for name, test := range map[string]struct {
		answer *http.Response
		want   string // a part of the error
	}{
		"none":            {answer(nil, ok), "unexpected EOF"},
		"two":             {answer(append(good[:len(good):len(good)], good...), ok), "more than one message"},
		"no status":       {answer(good, nil), "no grpc-status"},
		"malformed":       {answer(grpc.Frame(raw{0x0a, 9, 'x'}), ok), "malformed message"},
		"compressed":      {answer([]byte{1, 0, 0, 0, 0}, ok), "compressed"},
		"unknown flag":    {answer([]byte{7, 0, 0, 0, 0}, ok), "begins with 7"},
		"too large":       {answer([]byte{0, 0xff, 0, 0, 0}, ok), "65536 are allowed"},
		"half a head":     {answer([]byte{0, 0}, ok), "unexpected EOF"},
		"half a message":  {answer(good[:8], ok), "unexpected EOF"},
		"failed":          {answer(nil, http.Header{"Grpc-Status": {"5"}, "Grpc-Message": {"not%20here%"}}), "NOT_FOUND: not here%"},
		"unknown code":    {answer(nil, http.Header{"Grpc-Status": {"99"}}), "code 99"},
		"bytes, no UTF-8": {answer(nil, http.Header{"Grpc-Status": {"2"}, "Grpc-Message": {"%ff%"}}), "UNKNOWN: \uFFFD%"},
	} {
		var got text
		if err := call(func(*http.Request) *http.Response { return test.answer }, &got); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
}

// raw is a message that has been encoded already.
type raw []byte

func (r raw) Marshal() []byte { return r }

// FuzzAnswer: whatever a server answers, a call ends, and takes no more memory than messages may
// have.
func FuzzAnswer(f *testing.F) {
	f.Add(grpc.Frame(text("answer")), "0", "", "")
	f.Add([]byte{0, 0, 0, 0, 9, 1}, "8", "busy%0a", "CAgSBGJ1c3k=")
	f.Add([]byte{0, 0xff, 0xff, 0xff, 0xff}, "", "%", "!")
	f.Fuzz(func(t *testing.T, body []byte, status, message, details string) {
		trailer := http.Header{"Grpc-Status": {status}, "Grpc-Message": {message}, "Grpc-Status-Details-Bin": {details}}
		var got text
		err := call(func(*http.Request) *http.Response { return answer(body, trailer) }, &got)
		var s *grpc.Status
		if errors.As(err, &s) && (s.Code == grpc.OK || s.RetryDelay < 0 || s.RetryDelay > 20*time.Hour) {
			t.Errorf("%+v", s)
		}
		if err == nil && len(got) > len(body) {
			t.Errorf("%d bytes of %d", len(got), len(body))
		}
	})
}

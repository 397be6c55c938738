package backend_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/larderbuild/larder/backend"
)

// TestLimitAnswers tests how much of each kind of answer a client can read.
func TestLimitAnswers(t *testing.T) {
	const (
		none  = iota // the request is not one of ExpectObject
		asked        // it is, and the driver has not called take
		taken        // it is, and the driver has called take
	)
	const short, page, more = 64 << 10, 8 << 20, 9 << 20
	broken := errors.New("connection broken")
	tests := []struct {
		name   string
		method string
		code   int
		object int
		size   int64
		end    error  // the error at the end of the body; nil: io.EOF
		want   int64  // how many bytes can be read
		err    string // part of the error; "": none
	}{
		{"page", "GET", 200, none, page, nil, page, ""},
		{"page too long", "GET", 200, none, page + 1, nil, 0, "answer too long"},
		{"page that breaks off", "GET", 200, none, 10, broken, 10, broken.Error()},
		{"answer to a put", "PUT", 200, none, short, nil, short, ""},
		{"answer to a put too long", "PUT", 200, none, short + 1, nil, 0, "answer too long"},
		{"answer to an upload too long", "POST", 200, none, short + 1, nil, 0, "answer too long"},
		{"answer to a delete too long", "DELETE", 202, none, short + 1, nil, 0, "answer too long"},
		{"error", "GET", 404, none, 10, nil, 10, ""},
		{"error, cut off", "GET", 404, none, more, nil, short, ""},
		{"redirect, cut off", "PUT", 307, none, more, nil, short, ""},
		{"error in place of an object, cut off", "GET", 500, taken, more, nil, short, ""},
		{"object", "GET", 200, taken, more, nil, more, ""},
		{"part of an object", "GET", 206, taken, more, nil, more, ""},
		{"object that breaks off", "GET", 206, taken, 10, broken, 10, broken.Error()},
		{"object that is not taken", "GET", 200, asked, more, nil, short, "answer too long"},
		{"small object that is not taken", "GET", 200, asked, 10, nil, 10, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			body := io.LimitReader(zeros{}, test.size)
			if test.end != nil {
				body = io.MultiReader(body, iotest.ErrReader(test.end))
			}
			server := &answer{code: test.code, Reader: body}
			ctx, take := t.Context(), func() {}
			if test.object != none {
				ctx, take = backend.ExpectObject(ctx)
			}
			req, err := http.NewRequestWithContext(ctx, test.method, "http://host/key", nil)
			if err != nil {
				t.Fatal(err)
			}
			var n int64
			res, err := backend.LimitAnswers(server).RoundTrip(req)
			if err == nil {
				if test.object == taken {
					take()
				}
				n, err = io.Copy(io.Discard, res.Body)
				res.Body.Close()
			}
			if n != test.want {
				t.Errorf("read %d bytes, want %d", n, test.want)
			}
			if (err == nil) != (test.err == "") || err != nil && !strings.Contains(err.Error(), test.err) {
				t.Errorf("got %v, want %q", err, test.err)
			}
			if !server.closed {
				t.Error("the body was not closed")
			}
		})
	}
}

func TestLimitAnswersPassesErrorsOn(t *testing.T) {
	req, err := http.NewRequestWithContext(t.Context(), "GET", "http://host/key", nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := backend.LimitAnswers(&answer{}).RoundTrip(req)
	if res != nil {
		res.Body.Close()
		t.Error("there is an answer")
	}
	if !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("error %v", err)
	}
}

// answer is a RoundTripper that always returns this one answer, and is also the
// body of the answer.
type answer struct {
	code int // 0: none
	io.Reader
	closed bool
}

func (a *answer) RoundTrip(*http.Request) (*http.Response, error) {
	if a.code == 0 {
		return nil, io.ErrUnexpectedEOF
	}
	return &http.Response{StatusCode: a.code, Body: a}, nil
}

func (a *answer) Close() error {
	a.closed = true
	return nil
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

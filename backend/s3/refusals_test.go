package s3_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/larderbuild/larder/backend"
)

// refusing returns a store whose server refuses every request with the same answer.
func refusing(t *testing.T, status int, code, message string, header http.Header) backend.Store {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		for name := range header {
			w.Header().Set(name, header.Get(name))
		}
		w.WriteHeader(status)
		if code != "" {
			fmt.Fprintf(w, "<Error><Code>%s</Code><Message>%s</Message></Error>", code, message)
		}
	}))
	t.Cleanup(server.Close)
	s := openAt(t, server.URL)
	t.Cleanup(func() { s.Close() })
	return s
}

// TestRefusedPuts: what a server may say to a put, with a condition and without. No real
// server says it on demand.
func TestRefusedPuts(t *testing.T) {
	const header = "A header you provided implies functionality that is not implemented"
	for _, test := range []struct {
		status                     int
		code, message              string
		conditional, unconditional string
	}{
		{501, "NotImplemented", header, "no conditions", "failed"},
		{501, "", "", "no conditions", "failed"},
		{400, "NotImplemented", header, "no conditions", "failed"},
		{400, "InvalidRequest", "If-None-Match is not supported", "no conditions", "failed"},
		{400, "InvalidArgument", "conditional writes are off", "no conditions", "failed"},
		{400, "InvalidRequest", "something else", "failed", "failed"},
		{409, "ConditionalRequestConflict", "", "conflict", "contention"},
		{409, "OperationAborted", "", "conflict", "contention"},
		{412, "PreconditionFailed", "", "conflict", "contention"},
		{404, "NoSuchKey", "", "conflict", "failed"},
		{429, "SlowDown", "", "contention", "contention"},
		{429, "", "", "contention", "contention"},
		{503, "SlowDown", "", "busy", "busy"},
		{503, "", "", "busy", "busy"},
		{500, "InternalError", "", "failed", "failed"},
	} {
		t.Run(fmt.Sprint(test.status, test.code, test.message), func(t *testing.T) {
			s := refusing(t, test.status, test.code, test.message, nil)
			for cond, want := range map[backend.Condition]string{
				{}:               test.unconditional,
				{Absent: true}:   test.conditional,
				{Version: `"x"`}: test.conditional,
			} {
				opts := backend.OptionsOf([]byte("data"))
				opts.If = cond
				_, err := s.Put(t.Context(), "key", bytes.NewReader([]byte("data")), opts)
				if got := meaning(err); got != want {
					t.Errorf("%+v: %s (%v), want %s", cond, got, err, want)
				}
			}
		})
	}
}

// meaning says in a word how an error of a put is to be understood.
func meaning(err error) string {
	var busy *backend.Busy
	switch {
	case errors.As(err, &busy) && busy.Object:
		return "contention"
	case busy != nil:
		return "busy"
	case errors.Is(err, backend.ErrConflict):
		return "conflict"
	case errors.Is(err, backend.ErrNoConditions):
		return "no conditions"
	case errors.Is(err, backend.ErrDenied), errors.Is(err, backend.ErrNotFound), err == nil:
		return "something else"
	}
	return "failed"
}

func TestRetryAfter(t *testing.T) {
	s := refusing(t, 503, "SlowDown", "", http.Header{"Retry-After": {"7"}})
	_, _, err := s.Get(t.Context(), "key", backend.Range{})
	var busy *backend.Busy
	if !errors.As(err, &busy) || busy.Object || busy.After != 7*time.Second {
		t.Errorf("got %+v of %v", busy, err)
	}
}

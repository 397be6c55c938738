package httpstore_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"

	"github.com/larderbuild/larder/api"
	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/backend/backendtest"
	"github.com/larderbuild/larder/serve"
	"github.com/larderbuild/larder/testserver"
)

// TestFaultsOnTheWay: faults between the driver and larder serve, without TLS and with HTTP/2.
func TestFaultsOnTheWay(t *testing.T) {
	for _, params := range []string{"", "?http2=true"} {
		server := httptest.NewUnstartedServer(serve.New(config(t)))
		server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
		if server.EnableHTTP2 = params != ""; server.EnableHTTP2 {
			server.StartTLS()
			trust(t, server)
		} else {
			server.Start()
		}
		t.Cleanup(server.Close)
		link := testserver.Proxy(t, server.URL)
		scheme, _, _ := strings.Cut(server.URL, "://")
		url := scheme + strings.TrimPrefix(link.Endpoint, "http")
		backendtest.RunFaults(t, openFor(t, url+"/v1/scope"+params), map[string]func(){
			"down": link.Down, "reset": link.Reset, "cut": func() { link.Cut(100_000) },
		}, link.Heal)
	}
}

// TestNobodyListens: a server that is not there is a fault, and leaves nothing behind.
func TestNobodyListens(t *testing.T) {
	quiet(t, func() {
		s := open(t, "http://127.0.0.1:1")
		for op, do := range operations(t, s) {
			err := do()
			means(t, op, err, nil)
			if err != nil && strings.Contains(err.Error(), "http://") {
				t.Errorf("%s: a URL in %v", op, err)
			}
		}
		s.Close()
	})
}

// TestCutBodies: connections that end in the middle of an answer leave nothing behind.
func TestCutBodies(t *testing.T) {
	url := raw(t, func(w io.Writer) {
		io.WriteString(w, "HTTP/1.1 200 OK\r\nLarder-Api: 1\r\nContent-Length: 1000\r\n\r\ndata")
	})
	quiet(t, func() {
		s := open(t, url)
		for op, do := range operations(t, s) {
			if err := do(); op == "get" || op == "list" { // the status of the others says all
				means(t, op, err, nil)
			}
		}
		body, _, err := s.Get(t.Context(), "key", backend.Range{})
		if err == nil {
			body.Close() // before all was read
		}
		s.Close()
	})
}

// TestGivenUp: the end of its context ends a request, wherever it hangs, and leaves nothing
// behind.
func TestGivenUp(t *testing.T) {
	for _, place := range []string{"before the answer", "in the body", "in an error", "before its request is read"} {
		for _, op := range []string{"get", "put", "put on a condition", "delete", "list"} {
			t.Run(fmt.Sprint(place, ", ", op), func(t *testing.T) {
				reached := make(chan struct{}, 10)
				release := make(chan struct{})
				server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					h := w.Header()
					h.Set("Content-Length", "1000")
					h.Set("Content-Type", "text/plain")
					h.Set(api.Header, api.Number)
					if r.Method == http.MethodHead && op != "put on a condition" && place != "before the answer" {
						return
					}
					switch place {
					case "in the body":
						io.WriteString(w, "{")
					case "in an error":
						w.WriteHeader(http.StatusInternalServerError)
						io.WriteString(w, "data")
					}
					if place != "before the answer" && place != "before its request is read" {
						_ = http.NewResponseController(w).Flush()
					}
					reached <- struct{}{}
					<-release
				}))
				quiet(t, func() {
					cause := errors.New("given up")
					ctx, cancel := context.WithCancelCause(t.Context())
					defer cancel(nil)
					go func() {
						<-reached
						cancel(cause)
					}()
					s := open(t, server.URL)
					said := place == "in the body" && op != "get" && op != "list" // the status says all
					if err := call(ctx, s, op); !errors.Is(err, cause) && (!said || err != nil) {
						t.Errorf("%v, want the cause of the context's end", err)
					}
					s.Close()
				})
				close(release)
				server.Close()
			})
		}
	}
}

// call makes a request.
func call(ctx context.Context, s backend.Store, op string) error {
	data := strings.Repeat("0123456789abcdef", 1<<19)
	opts := backend.OptionsOf([]byte(data))
	switch op {
	case "get":
		body, _, err := s.Get(ctx, "key", backend.Range{})
		if err != nil {
			return err
		}
		defer body.Close()
		_, err = io.ReadAll(body)
		return err
	case "put on a condition":
		opts.If.Absent = true
		fallthrough
	case "put":
		_, err := s.Put(ctx, "key", strings.NewReader(data), opts)
		return err
	case "delete":
		return s.Delete(ctx, "key", "")
	}
	var err error
	for _, err = range s.List(ctx, "") {
	}
	return err
}

// quiet checks that f leaves no goroutine of a client behind.
func quiet(t *testing.T, f func()) {
	t.Helper()
	f()
	eventually(t, "quiet", func() bool {
		stacks := make([]byte, 1<<20)
		text := string(stacks[:runtime.Stack(stacks, true)])
		return !strings.Contains(text, "net/http.(*persistConn)") && !strings.Contains(text, "net/http.(*Transport)")
	})
}

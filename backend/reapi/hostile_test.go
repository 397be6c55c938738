package reapi_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/backend/backendtest"
	"github.com/larderbuild/larder/testserver"
)

// TestNoGRPC: servers that speak HTTP/2 and not gRPC, and proxies before one that is not there.
func TestNoGRPC(t *testing.T) {
	t.Parallel()
	page := strings.Repeat("<p>page", 100_000)
	reply := func(code int, headers ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			for i := 0; i < len(headers); i += 2 {
				w.Header().Set(headers[i], headers[i+1])
			}
			w.WriteHeader(code)
			io.WriteString(w, page)
		}
	}
	isGRPC := []string{"Content-Type", "application/grpc"}
	for name, test := range map[string]struct {
		answer http.HandlerFunc
		means  error
	}{
		"a page":              {reply(200, "Content-Type", "text/html"), backend.ErrDenied},
		"no type":             {reply(200, "Content-Type", ""), backend.ErrDenied},
		"almost gRPC":         {reply(200, "Content-Type", "application/grpc-web"), backend.ErrDenied},
		"not found":           {reply(404, "Content-Type", "text/html"), backend.ErrDenied},
		"unauthorized":        {reply(401), backend.ErrDenied},
		"forbidden":           {reply(403), backend.ErrDenied},
		"too many":            {reply(429), errBusy},
		"bad gateway":         {reply(502), errBusy},
		"unavailable":         {reply(503), errBusy},
		"an error":            {reply(500), errFault},
		"a redirect":          {reply(302, "Location", "http://127.0.0.1:1/"), errFault},
		"no message":          {reply(200, append(isGRPC, "Grpc-Status", "0")...), errFault},
		"a page as a message": {reply(200, isGRPC...), errFault},
		"malformed status":    {reply(200, append(isGRPC, "Grpc-Status", "junk")...), errFault},
		"huge status":         {reply(200, append(isGRPC, "Grpc-Status", "99999999999999999999")...), errFault},
		"malformed details":   {reply(200, append(isGRPC, "Grpc-Status", "13", "Grpc-Status-Details-Bin", "!")...), errFault},
		"large header":        {reply(200, append(isGRPC, "X-Junk", page)...), errFault},
		"compressed": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/grpc")
			w.Write([]byte{1, 0, 0, 0, 1, 0})
		}, errFault},
		"half a message": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/grpc")
			w.Write([]byte{0, 0, 0, 0, 9, 0})
		}, errFault},
		"no trailers": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/grpc")
			w.Write([]byte{0, 0, 0, 0, 0})
		}, errFault},
		"gives up": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, errFault},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := openFor(t, h2c(t, test.answer))
			for _, op := range []string{"get", "put"} {
				err := call(t, s, op, small)
				means(t, op, err, test.means)
				if err != nil && (strings.Contains(err.Error(), "<p>") || len(err.Error()) > 1000) {
					t.Errorf("%s: %.1200v", op, err)
				}
			}
		})
	}
}

// h2c starts a server that speaks HTTP/2 without TLS, and returns its URL.
func h2c(t *testing.T, answer http.HandlerFunc) (url string) {
	t.Helper()
	server := httptest.NewUnstartedServer(answer)
	server.Config.Protocols = new(http.Protocols)
	server.Config.Protocols.SetUnencryptedHTTP2(true)
	server.Start()
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	return strings.Replace(server.URL, "http", "grpc", 1)
}

// TestNoHTTP2: servers that speak something else.
func TestNoHTTP2(t *testing.T) {
	junk := strings.Repeat("junk", 1<<20)
	for name, text := range map[string]string{
		"HTTP/1.1": "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
		"junk":     junk,
		"nothing":  "",
	} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		go func() {
			for {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				io.WriteString(conn, text)
				conn.Close()
			}
		}()
		err = call(t, openFor(t, "grpc://"+l.Addr().String()), "get", small)
		means(t, name, err, errFault)
		if err != nil && len(err.Error()) > 1000 {
			t.Errorf("%s: %.1200v", name, err)
		}
	}
	old := httptest.NewTLSServer(http.NotFoundHandler()) // it speaks HTTP/1.1 alone
	t.Cleanup(old.Close)
	means(t, "TLS", call(t, openFor(t, strings.Replace(old.URL, "https", "grpcs", 1)), "get", small), errFault)
	means(t, "nobody", call(t, openFor(t, "grpc://127.0.0.1:1"), "get", small), errFault)
}

// TestGivenUp: the end of its context ends a request at once, whichever call hangs, and leaves
// nothing behind.
func TestGivenUp(t *testing.T) {
	for _, test := range []struct{ method, op, key string }{
		{"GetCapabilities", "get", small}, {"GetActionResult", "get", small}, {"BatchReadBlobs", "get", small}, {"Read", "get", large},
		{"BatchUpdateBlobs", "put", small}, {"FindMissingBlobs", "put", large}, {"Write", "put", large}, {"UpdateActionResult", "put", small},
	} {
		t.Run(test.method, func(t *testing.T) {
			c := newCache(t)
			fill(t, c)
			if test.op == "put" {
				c.forget()
			}
			c.hang = test.method
			cause := errors.New("given up")
			ctx, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			go func() {
				<-c.hangs
				cancel(cause)
			}()
			s := open(t, c.url)
			var err error
			if test.op == "get" {
				_, _, err = s.Get(ctx, test.key, backend.Range{})
			} else {
				_, err = s.Put(ctx, test.key, strings.NewReader(contents[test.key]), backend.OptionsOf([]byte(contents[test.key])))
			}
			if !errors.Is(err, cause) {
				t.Errorf("%v, want the cause of the context's end", err)
			}
			s.Close()
			quiet(t)
		})
	}
}

// quiet waits until no goroutine of a client is left.
func quiet(t *testing.T) {
	t.Helper()
	stacks := make([]byte, 4<<20)
	for range 1000 {
		text := string(stacks[:runtime.Stack(stacks, true)])
		if !strings.Contains(text, "clientConnReadLoop") && !strings.Contains(text, "(*clientStream)") {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Errorf("goroutines are left:\n%s", stacks)
}

// TestEndless: a server that sends without end is not listened to for long.
func TestEndless(t *testing.T) {
	var sent atomic.Int64
	url := h2c(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/grpc")
		w.Write([]byte{0, 0xff, 0xff, 0xff, 0xff})
		zeros := make([]byte, 64<<10)
		for sent.Load() < backendtest.MaxEndless {
			n, err := w.Write(zeros)
			if sent.Add(int64(n)); err != nil {
				return
			}
		}
	})
	s := open(t, url)
	means(t, "get", call(t, s, "get", small), errFault)
	s.Close()
	quiet(t)
	if sent.Load() >= backendtest.MaxEndless {
		t.Errorf("took %d bytes", sent.Load())
	}
}

// TestFaultsOnTheWay: faults between the driver and a server.
func TestFaultsOnTheWay(t *testing.T) {
	link := testserver.Proxy(t, "http://"+testserver.BazelRemote(t))
	s := openFor(t, strings.Replace(link.Endpoint, "http", "grpc", 1))
	backendtest.RunFaults(t, s, map[string]func(){
		"down": link.Down, "reset": link.Reset, "cut": func() { link.Cut(100_000) },
	}, link.Heal)
	if _, err := get(t, s, "key", backend.Range{}); err != nil {
		t.Errorf("once the connection is well again: %v", err)
	}
}

// TestClose: a store that is closed leaves nothing behind, also if a body was not read.
func TestClose(t *testing.T) {
	c := newCache(t)
	fill(t, c)
	quiet(t)
	before := goleak.IgnoreCurrent()
	s := open(t, c.url)
	if _, _, err := s.Get(t.Context(), large, backend.Range{}); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Error(fmt.Errorf("close: %w", err))
	}
	goleak.VerifyNone(t, before, goleak.IgnoreAnyFunction("google.golang.org/grpc.(*Server).handleRawConn"),
		goleak.IgnoreAnyFunction("google.golang.org/grpc.(*Server).serveStreams"))
}

package backendtest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/larderbuild/larder/backend"
)

// RunAnswers tests how a driver that speaks HTTP handles answers that no store
// gives. open returns a store at endpoint; the suite closes it.
func RunAnswers(t *testing.T, open func(t *testing.T, endpoint string) backend.Store) {
	start := func(t *testing.T, answer http.HandlerFunc) backend.Store {
		s := open(t, serve(t, answer))
		t.Cleanup(func() { s.Close() })
		return s
	}
	t.Run("Endless", func(t *testing.T) { testEndless(t, open) })
	t.Run("Redirect", func(t *testing.T) { testRedirect(t, start) })
	t.Run("ContentType", func(t *testing.T) { testContentType(t, start) })
}

// serve starts a server that reads each request to its end and then calls answer.
// The server ends with the test.
func serve(t *testing.T, answer http.HandlerFunc) (endpoint string) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		answer(w, r)
	}))
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	return server.URL
}

// requests returns, for each method of s, a function that calls it once.
func requests(t *testing.T, s backend.Store) map[string]func() error {
	return map[string]func() error{
		"get": func() error {
			_, _, err := store{s}.get(t.Context(), "key", backend.Range{})
			return err
		},
		"put": func() error {
			_, err := s.Put(t.Context(), "key", bytes.NewReader([]byte("data")), backend.OptionsOf([]byte("data")))
			return err
		},
		"delete": func() error { return s.Delete(t.Context(), "key", "") },
		"list": func() (err error) {
			for _, err = range s.List(t.Context(), "") {
			}
			return err
		},
	}
}

// Endless is a server whose answers do not end. It stops when it has sent
// MaxEndless bytes in all.
type Endless struct {
	URL  string
	stop func()
	sent atomic.Int64
}

// MaxEndless is how many bytes an [Endless] sends at most. It is more than a driver
// may read of an answer that is not an object's body, plus what the buffers of the
// sockets hold.
const MaxEndless = 64 << 20

// NewEndless starts a server that begins each answer with code and header, and
// goes on with zeros. The caller calls Stop.
func NewEndless(code int, header http.Header) *Endless {
	e := new(Endless)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		for name, values := range header {
			w.Header()[name] = values
		}
		w.WriteHeader(code)
		zeros := make([]byte, 64<<10)
		for e.sent.Load() < MaxEndless {
			n, err := w.Write(zeros)
			e.sent.Add(int64(n))
			if err != nil {
				return
			}
		}
	}))
	e.URL = server.URL
	e.stop = func() {
		server.CloseClientConnections()
		server.Close()
	}
	return e
}

// Stop ends the server and returns how many zeros it has sent.
func (e *Endless) Stop() (sent int64) {
	e.stop()
	return e.sent.Load()
}

func testEndless(t *testing.T, open func(t *testing.T, endpoint string) backend.Store) {
	for _, op := range []string{"get", "put", "delete", "list"} {
		for _, code := range []int{200, 302, 403, 404, 500} {
			if op == "get" && code == 200 {
				continue // the body of an object; its reader knows how long it may be
			}
			t.Run(fmt.Sprintf("%s %d", op, code), func(t *testing.T) {
				server := NewEndless(code, nil)
				s := open(t, server.URL)
				err := requests(t, s)[op]()
				s.Close()
				sent := server.Stop()
				if err == nil || errors.Is(err, backend.ErrNotFound) {
					t.Errorf("got %v, want another error", err)
				} else if len(err.Error()) > 128<<10 {
					t.Errorf("an error of %d bytes", len(err.Error()))
				}
				if sent >= MaxEndless {
					t.Errorf("took %d bytes", sent)
				}
			})
		}
	}
}

// testRedirect tests that redirects are not followed: another host would get the
// credentials, and choose the bytes.
func testRedirect(t *testing.T, start func(*testing.T, http.HandlerFunc) backend.Store) {
	for _, code := range []int{301, 302, 303, 307, 308} {
		t.Run(fmt.Sprint(code), func(t *testing.T) {
			var strays atomic.Int64
			elsewhere := serve(t, func(http.ResponseWriter, *http.Request) { strays.Add(1) })
			s := start(t, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Location", elsewhere+r.URL.Path)
				w.WriteHeader(code)
			})
			for op, request := range requests(t, s) {
				if err := request(); err == nil || errors.Is(err, backend.ErrNotFound) {
					t.Errorf("%s: %v, want another error", op, err)
				}
			}
			if n := strays.Load(); n > 0 {
				t.Errorf("%d requests went elsewhere", n)
			}
		})
	}
}

// testContentType tests that an object's bytes are returned as they are, whatever
// type the server gives them.
func testContentType(t *testing.T, start func(*testing.T, http.HandlerFunc) backend.Store) {
	data := random(100 << 10)
	for _, test := range []struct{ name, header, value string }{
		{"page", "Content-Type", "text/html; charset=utf-16"},
		{"document of S3", "Content-Type", "application/xml"},
		{"document of GCS", "Content-Type", "application/json"},
		{"nonsense", "Content-Type", ";;"},
		{"compressed, it says", "Content-Encoding", "gzip"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := start(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set(test.header, test.value)
				w.Write(data)
			})
			got, _, err := store{s}.get(t.Context(), "key", backend.Range{})
			if err != nil || !bytes.Equal(got, data) {
				t.Errorf("got %d bytes, %v; want %d", len(got), err, len(data))
			}
		})
	}
}

package httpstore_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/larderbuild/larder/api"
	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/backend/backendtest"
)

// TestTexts: an error repeats a line of text that the server says to people, and no page.
func TestTexts(t *testing.T) {
	long := strings.Repeat("x", 1<<20)
	for _, test := range []struct{ kind, body, want string }{
		{"text/plain", "not here\nmore", ": 507 Insufficient Storage: not here"},
		{"text/plain; charset=utf-8", "\x1b[31mr\xffed\x00\x7f \u202eü\r\n", ": 507 Insufficient Storage: [31mred ü"},
		{"text/plain", long, ": 507 Insufficient Storage: " + long[:200]},
		{"text/plain", "", ": 507 Insufficient Storage"},
		{"text/html", "<html>page", ": 507 Insufficient Storage"},
		{"application/json", `{"page":1}`, ": 507 Insufficient Storage"},
		{"", long, ": 507 Insufficient Storage"},
	} {
		s := openFor(t, serving(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", test.kind)
			w.WriteHeader(http.StatusInsufficientStorage)
			io.WriteString(w, test.body)
		}).url)
		if _, _, err := get(t, s, backend.Range{}); err == nil || err.Error() != "get key"+test.want {
			t.Errorf("get: %.300q, want %.300q", fmt.Sprint(err), test.want)
		}
		if _, err := put(t, s, "data", backend.Condition{}); err == nil || err.Error() != "put key"+test.want {
			t.Errorf("put: %.300q, want %.300q", fmt.Sprint(err), test.want)
		}
	}
}

// TestHostileHeaders: the lines that a server makes up do not get into errors, and end.
func TestHostileHeaders(t *testing.T) {
	junk := strings.Repeat("junk", 10<<10)
	for name, answer := range map[string]string{
		"name of a status":  "HTTP/1.1 507 " + junk + "\r\nContent-Length: 0\r\n\r\n",
		"no HTTP":           junk + "\r\n\r\n",
		"no number":         "HTTP/1.1 " + junk + "\r\n\r\n",
		"header":            "HTTP/1.1 200 OK\r\n" + junk + "\r\n\r\n",
		"encoding":          "HTTP/1.1 200 OK\r\nContent-Encoding: " + junk + "\r\nContent-Length: 0\r\n\r\n",
		"range":             "HTTP/1.1 206 OK\r\nContent-Range: bytes " + junk + "\r\nContent-Length: 0\r\n\r\n",
		"range, then more":  "HTTP/1.1 206 OK\r\nContent-Range: bytes 0-4/9" + junk + "\r\nContent-Length: 5\r\n\r\n",
		"redirect":          "HTTP/1.1 302 " + junk + "\r\nContent-Length: 0\r\n\r\n",
		"redirect, nowhere": "HTTP/1.1 302 Found\r\nLocation: http://[" + junk + "\r\nContent-Length: 0\r\n\r\n",
		"reason":            "HTTP/1.1 501 " + junk + "\r\nLarder-Error: " + junk + "\r\nContent-Length: 0\r\n\r\n",
		"type":              "HTTP/1.1 500 " + junk + "\r\nContent-Type: " + junk + "\r\nContent-Length: 4\r\n\r\njunk",
	} {
		s := openFor(t, raw(t, func(w io.Writer) { io.WriteString(w, answer) }))
		_, _, err := get(t, s, backend.Range{})
		if err == nil || errors.Is(err, backend.ErrNotFound) || len(err.Error()) > 1000 {
			t.Errorf("get, %s: %.1200v", name, err)
		}
		if _, err := put(t, s, "data", backend.Condition{}); err != nil && len(err.Error()) > 1000 {
			t.Errorf("put, %s: %.1200v", name, err)
		}
	}
}

// TestEndless: no answer is read for ever.
func TestEndless(t *testing.T) {
	calls := func(s backend.Store) map[string]func() error {
		return map[string]func() error{
			"get":                func() error { _, _, err := get(t, s, backend.Range{Offset: 1}); return err },
			"put":                func() error { _, err := put(t, s, "data", backend.Condition{}); return err },
			"put on a condition": func() error { _, err := put(t, s, "data", backend.Condition{Absent: true}); return err },
			"delete":             func() error { return s.Delete(t.Context(), "key", "") },
			"list":               func() error { return list(t, s) },
		}
	}
	header := http.Header{api.Header: {api.Number}, "Content-Type": {"text/plain"}}
	for op := range calls(nil) {
		for _, code := range []int{200, 302, 403, 404, 500} {
			server := backendtest.NewEndless(code, header)
			s := open(t, server.URL)
			learn(t, s)
			err := calls(s)[op]()
			s.Close()
			if sent := server.Stop(); sent >= backendtest.MaxEndless {
				t.Errorf("%s, %d: took %d bytes", op, code, sent)
			}
			if err == nil && (op != "delete" || code != 404) || err != nil && len(err.Error()) > 1000 {
				t.Errorf("%s, %d: %.1200v", op, code, err)
			}
		}
		var sent int
		done := make(chan struct{}, 100)
		s := openFor(t, raw(t, func(w io.Writer) {
			defer func() { done <- struct{}{} }()
			io.WriteString(w, "HTTP/1.1 200 OK\r\n")
			for sent < backendtest.MaxEndless {
				n, err := io.WriteString(w, "X-More: "+strings.Repeat("x", 1000)+"\r\n")
				if sent += n; err != nil {
					return
				}
			}
		}))
		if err := calls(s)[op](); err == nil || errors.Is(err, backend.ErrNotFound) || len(err.Error()) > 1000 {
			t.Errorf("%s, endless headers: %.1200v", op, err)
		}
		if <-done; sent >= backendtest.MaxEndless {
			t.Errorf("%s, endless headers: took %d bytes", op, sent)
		}
	}
}

// learn has s know that its server, whose answers do not end, is larder serve: a HEAD would, too,
// but the server would send its answer to nobody.
func learn(t *testing.T, s backend.Store) {
	t.Helper()
	body, _, err := s.Get(t.Context(), "key", backend.Range{})
	if err == nil {
		body.Close()
	}
}

// TestLists: a list that does not end as it should is no list.
func TestLists(t *testing.T) {
	const line = `{"key":"a","size":1,"version":"\"v\""}` + "\n"
	for name, test := range map[string]struct {
		body string
		n    int
		good bool
	}{
		"whole":        {line + line + `{"end":true}` + "\n", 2, true},
		"empty":        {`{"end":true}` + "\n", 0, true},
		"more":         {`{"end":true}` + "\n" + line, 0, true},
		"cut":          {line, 1, false},
		"nothing":      {"", 0, false},
		"half a line":  {line + `{"key":`, 1, false},
		"page":         {"<html>", 0, false},
		"endless line": {line + `{"key":"` + strings.Repeat("x", 1<<20) + "\"}\n", 1, false},
	} {
		server := serving(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set(api.Header, api.Number)
			if r.Method == http.MethodGet {
				io.WriteString(w, test.body)
			}
		})
		s := openFor(t, server.url)
		n, fault := 0, error(nil)
		for _, err := range s.List(t.Context(), "") {
			if fault = err; err == nil {
				n++
			}
		}
		if n != test.n || (fault == nil) != test.good || fault != nil && len(fault.Error()) > 1000 {
			t.Errorf("%s: %d objects, %.1200v", name, n, fault)
		}
	}
}

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
)

// redirecting starts a site that answers each request below /old with a redirect to where.
func redirecting(t *testing.T, code int, where func(*http.Request) string) *site {
	return serving(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/old/") {
			w.Header().Set("Location", where(r))
			w.WriteHeader(code)
			return
		}
		io.WriteString(w, "data")
	})
}

// TestRedirects: a Get follows a redirect, on the same host with credentials and elsewhere
// without.
func TestRedirects(t *testing.T) {
	t.Setenv("LARDER_TOKEN", "secret")
	t.Setenv("LARDER_HTTP_HEADERS", "X-Team=secret,Cookie=secret,X-Api-Key=secret")
	elsewhere := serving(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "data") })
	var back string
	between := serving(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, back, http.StatusFound) })
	for _, code := range []int{301, 302, 303, 307, 308} {
		var to string
		server := redirecting(t, code, func(*http.Request) string { return to })
		for _, user := range []string{"", "user:secret@"} {
			s := openFor(t, strings.Replace(server.url, "//", "//"+user, 1)+"/old")
			for _, test := range []struct {
				to          string
				last        *site
				credentials bool
			}{
				{"/new/key", server, true},
				{server.url + "/new/key", server, true},
				{elsewhere.url + "/new/key", elsewhere, false},
				{strings.Replace(server.url, "127.0.0.1", "localhost", 1) + "/new/key", server, false},
			} {
				to = test.to
				got, _, err := get(t, s, backend.Range{Offset: 1, Length: 2})
				if err != nil || got != "at" {
					t.Errorf("%d to %s: %q, %v", code, to, got, err)
				}
				seen := append(server.requests(), elsewhere.requests()...)
				if len(seen) != 2 {
					t.Fatalf("%d to %s: %d requests, want 2", code, to, len(seen))
				}
				h := seen[1].Header
				if h.Get("Range") != "bytes=1-2" || h.Get("Accept-Encoding") != "identity" {
					t.Errorf("%d to %s: %v", code, to, h)
				}
				if has := h.Get("Authorization") != "" && h.Get("X-Team") != "" && h.Get("Cookie") != ""; has != test.credentials {
					t.Errorf("%d to %s: %v", code, to, h)
				}
				if !test.credentials {
					for name, values := range h {
						if strings.Contains(strings.Join(values, ""), "secret") || name == "Referer" || name == "Authorization" {
							t.Errorf("%d to %s: %s: %s", code, to, name, values)
						}
					}
				}
			}
		}
		// Who has once been elsewhere does not get the token back.
		back, to = server.url+"/new/key", between.url
		if _, _, err := get(t, openFor(t, server.url+"/old"), backend.Range{}); err != nil {
			t.Error(err)
		}
		if seen := server.requests(); len(seen) != 2 || seen[1].Header.Get("Authorization") != "" {
			t.Errorf("%d: back again with %v", code, seen)
		}
	}
}

// TestRedirectsNowhere: redirects that lead to no object end.
func TestRedirectsNowhere(t *testing.T) {
	for name, test := range map[string]struct {
		where    func(*http.Request) string
		want     error
		requests int
	}{
		"a loop":       {func(r *http.Request) string { return r.URL.Path }, nil, 6},
		"longer":       {func(r *http.Request) string { return r.URL.Path + "x" }, nil, 6},
		"a folder":     {func(r *http.Request) string { return r.URL.Path + "/" }, backend.ErrNotFound, 1},
		"no place":     {func(*http.Request) string { return "" }, backend.ErrDenied, 1},
		"no URL":       {func(*http.Request) string { return "http://[" }, nil, 1},
		"another kind": {func(*http.Request) string { return "file:///etc/passwd" }, nil, 1},
		"down":         {func(*http.Request) string { return "http://127.0.0.1:1/" }, nil, 1},
	} {
		server := redirecting(t, 302, test.where)
		_, _, err := get(t, openFor(t, server.url+"/old"), backend.Range{})
		means(t, name, err, test.want)
		if n := len(server.requests()); n != test.requests {
			t.Errorf("%s: %d requests, want %d", name, n, test.requests)
		}
	}
}

// TestRedirectedWrites: a Put and a Delete follow no redirect, not even to a folder.
func TestRedirectedWrites(t *testing.T) {
	for _, code := range []int{300, 301, 302, 303, 304, 307, 308} {
		for _, to := range []string{"", "/new/key", "http://127.0.0.1:1/key", "/old/key/"} {
			t.Run(fmt.Sprint(code, to), func(t *testing.T) {
				server := serving(t, func(w http.ResponseWriter, r *http.Request) {
					w.Header().Set(api.Header, api.Number)
					if to != "" {
						w.Header().Set("Location", to)
					}
					w.WriteHeader(code)
				})
				s := openFor(t, server.url+"/old")
				_, err := put(t, s, "data", backend.Condition{})
				means(t, "put", err, backend.ErrDenied)
				_, err = put(t, s, "data", backend.Condition{Absent: true})
				means(t, "put on a condition", err, backend.ErrDenied)
				if err != nil && !strings.Contains(err.Error(), "in the URL of the store") {
					t.Errorf("no advice in %v", err)
				}
				if err := s.Delete(t.Context(), "key", ""); to == "/old/key/" { // a folder is no object
					if err != nil {
						t.Errorf("delete: %v", err)
					}
				} else if !errors.Is(err, backend.ErrDenied) || !strings.Contains(err.Error(), "in the URL of the store") {
					t.Errorf("delete: %v", err)
				}
				if got := server.lines(); got != "PUT /old/key, PUT /old/key, DELETE /old/key" {
					t.Errorf("the server got %s", got)
				}
			})
		}
	}
}

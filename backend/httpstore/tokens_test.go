package httpstore_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/larderbuild/larder/api"
	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/backend/backendtest"
)

// demanding starts a site that is larder serve and takes one token.
func demanding(t *testing.T, token string) *site {
	t.Helper()
	return serving(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set(api.Header, api.Number)
		if r.Header.Get("Authorization") != "Bearer "+token {
			http.Error(w, "who are you?", http.StatusUnauthorized)
		}
	})
}

// printing has LARDER_TOKEN_COMMAND print token-1, then token-2, and so on.
func printing(t *testing.T) {
	t.Setenv("RUNS", filepath.Join(t.TempDir(), "runs"))
	t.Setenv("LARDER_TOKEN_COMMAND", `echo >>"$RUNS"; echo token-$(($(wc -l <"$RUNS")))`)
}

// authorizations returns those of the requests since the last call.
func authorizations(s *site) string {
	var all []string
	for _, r := range s.requests() {
		all = append(all, r.Header.Get("Authorization"))
	}
	return strings.Join(all, ", ")
}

// operations are those of a store whose kind is known.
func operations(t *testing.T, s backend.Store) map[string]func() error {
	return map[string]func() error{
		"get":    func() error { _, _, err := get(t, s, backend.Range{}); return err },
		"put":    func() error { _, err := put(t, s, "data", backend.Condition{}); return err },
		"delete": func() error { return s.Delete(t.Context(), "key", "") },
		"list":   func() error { return list(t, s) },
	}
}

// TestToken: LARDER_TOKEN goes with each request, and is not tried again.
func TestToken(t *testing.T) {
	server := demanding(t, "secret")
	const spaced = " secret\n"
	for token, good := range map[string]bool{spaced: true, "hunter2": false} {
		t.Setenv("LARDER_TOKEN", token)
		s := openFor(t, server.url)
		_, err := put(t, s, "data", backend.Condition{}) // tells what the server is
		if (err == nil) != good {
			t.Errorf("%q: %v", token, err)
		}
		server.requests()
		for op, do := range operations(t, s) {
			err := do()
			if op == "list" && good {
				err = nil // the site has no list
			}
			if (err == nil) != good || !good && (!errors.Is(err, backend.ErrDenied) || strings.Contains(err.Error(), token)) {
				t.Errorf("%s with %q: %v", op, token, err)
			}
			if got := authorizations(server); got != "Bearer "+strings.TrimSpace(token) {
				t.Errorf("%s with %q: %s", op, token, got)
			}
		}
	}
	t.Setenv("LARDER_TOKEN", "hunter2 hunter2")
	backendtest.WantDenied(t, openFor(t, server.url))
	if got := authorizations(server); got != "" {
		t.Errorf("a malformed token has gone out: %s", got)
	}
}

// TestSecondToken: once a token is refused, a request has another one, and no third.
func TestSecondToken(t *testing.T) {
	for _, test := range []struct{ takes, want string }{
		{"token-1", "Bearer token-1"},
		{"token-2", "Bearer token-1, Bearer token-2"},
		{"token-3", "Bearer token-1, Bearer token-2"},
	} {
		server := demanding(t, test.takes)
		printing(t)
		s := openFor(t, server.url)
		_, err := put(t, s, "data", backend.Condition{})
		if good := test.takes != "token-3"; good != (err == nil) || !good && !errors.Is(err, backend.ErrDenied) {
			t.Errorf("%s: %v", test.takes, err)
		}
		if seen := server.requests(); len(seen) > 0 {
			if body := seen[len(seen)-1].body; body != "data" {
				t.Errorf("%s: put %q", test.takes, body)
			}
			if got := join(seen); got != test.want {
				t.Errorf("%s: %s, want %s", test.takes, got, test.want)
			}
		}
	}
}

func join(seen []request) string {
	var all []string
	for _, r := range seen {
		all = append(all, r.Header.Get("Authorization"))
	}
	return strings.Join(all, ", ")
}

// TestSecondTokenOfALargePut: the body of the second request is whole although the server has
// refused the first one before it has read its body, or while it does.
func TestSecondTokenOfALargePut(t *testing.T) {
	data := strings.Repeat("0123456789abcdef", 1<<19)
	for _, reads := range []int64{0, 1, 100_000, 4 << 20} {
		printing(t)
		var got string
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") == "Bearer token-1" {
				io.CopyN(io.Discard, r.Body, reads)
				http.Error(w, "who are you?", http.StatusUnauthorized)
				return
			}
			body, _ := io.ReadAll(r.Body)
			got = string(body)
		}))
		s := open(t, server.URL)
		if _, err := put(t, s, data, backend.Condition{}); err != nil {
			t.Errorf("after %d bytes: %v", reads, err)
		}
		s.Close()
		server.Close()
		if got != data {
			t.Errorf("after %d bytes: the server got %d bytes, want %d, or others", reads, len(got), len(data))
		}
	}
}

// TestNoToken: a request without a token is refused at once, and so is one whose command fails.
func TestNoToken(t *testing.T) {
	server := demanding(t, "secret")
	backendtest.WantDenied(t, openFor(t, server.url))
	if got := authorizations(server); strings.Trim(got, ", ") != "" {
		t.Errorf("authorized by %s", got)
	}
	t.Setenv("LARDER_TOKEN_COMMAND", `echo "log in first" >&2; exit 1`)
	s := openFor(t, server.url)
	backendtest.WantDenied(t, s)
	if _, _, err := get(t, s, backend.Range{}); err == nil || !strings.Contains(err.Error(), "LARDER_TOKEN_COMMAND") || !strings.Contains(err.Error(), "log in first") {
		t.Errorf("the command fails: %v", err)
	}
	if n := len(server.requests()); n != 0 {
		t.Errorf("%d requests without a token", n)
	}
}

// TestGitHubToken: the token of a job has the store as its audience, and is got anew once it was
// refused. A user and a password in the URL count more.
func TestGitHubToken(t *testing.T) {
	server := demanding(t, "token-2")
	n := 0
	gitHub := serving(t, func(w http.ResponseWriter, r *http.Request) {
		n++
		fmt.Fprintf(w, `{"value":"token-%d"}`, n)
	})
	t.Setenv("ACTIONS_ID_TOKEN_REQUEST_URL", gitHub.url+"/?version=1")
	t.Setenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "of-the-job")
	s := openFor(t, server.url+"/deep/below")
	if _, _, err := get(t, s, backend.Range{}); err != nil {
		t.Error(err)
	}
	if got := authorizations(server); got != "Bearer token-1, Bearer token-2" {
		t.Errorf("the store was sent %s", got)
	}
	for _, r := range gitHub.requests() {
		if r.Header.Get("Authorization") != "Bearer of-the-job" || r.FormValue("audience") != server.url || r.FormValue("version") != "1" {
			t.Errorf("GitHub was asked %s with %v", r.URL, r.Header)
		}
	}

	for _, variable := range []string{"ACTIONS_ID_TOKEN_REQUEST_URL", "LARDER_TOKEN_COMMAND", "LARDER_TOKEN"} {
		if variable != "ACTIONS_ID_TOKEN_REQUEST_URL" {
			t.Setenv(variable, "other")
		}
		s := openFor(t, strings.Replace(server.url, "//", "//us%20er:p%40ss@", 1))
		if _, _, err := get(t, s, backend.Range{}); !errors.Is(err, backend.ErrDenied) || strings.Contains(err.Error(), "p@ss") {
			t.Errorf("with a password: %v", err)
		}
		seen := server.requests()
		if len(seen) != 1 {
			t.Fatalf("%d requests with a password that is refused, want 1", len(seen))
		}
		if user, password, _ := seen[0].BasicAuth(); user != "us er" || password != "p@ss" {
			t.Errorf("user %q, password %q", user, password)
		}
	}
	if n := len(gitHub.requests()); n != 0 {
		t.Errorf("GitHub was asked %d times in vain", n)
	}
}

// TestTokenByHTTP: without TLS, GitHub is not asked for a token that others could read. The
// other kinds of token go where the URL says. The proxy of this test stands for all hosts.
func TestTokenByHTTP(t *testing.T) {
	gitHub := serving(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, `{"value":"token"}`) })
	t.Setenv("ACTIONS_ID_TOKEN_REQUEST_URL", gitHub.url)
	t.Setenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "of-the-job")
	world.requests()
	s := openFor(t, "http://store.example:8080/a")
	if _, _, err := get(t, s, backend.Range{}); !errors.Is(err, backend.ErrDenied) {
		t.Errorf("the proxy's 403 is %v", err)
	}
	if n := len(gitHub.requests()); n != 0 {
		t.Errorf("GitHub was asked %d times", n)
	}
	seen := world.requests()
	if len(seen) != 1 || seen[0].URL.String() != "http://store.example:8080/a/key" || seen[0].Header.Get("Authorization") != "" {
		t.Errorf("the proxy saw %v", seen)
	}
	t.Setenv("LARDER_TOKEN", "secret")
	get(t, s, backend.Range{})
	if got := authorizations(world); got != "Bearer secret" {
		t.Errorf("the proxy saw %s", got)
	}
}

// TestProxy: a proxy is asked for hosts that are not this one, with and without TLS.
func TestProxy(t *testing.T) {
	world.requests()
	for url, want := range map[string]string{
		"http://store.example":             "GET http://store.example/key",
		"https://store.example:8443":       "CONNECT //store.example:8443",
		"https://store.example":            "CONNECT //store.example:443",
		"https://store.example?http2=true": "CONNECT //store.example:443",
	} {
		_, _, err := get(t, openFor(t, url), backend.Range{})
		if err == nil || errors.Is(err, backend.ErrNotFound) {
			t.Errorf("%s: %v", url, err)
		}
		var lines []string
		for _, r := range world.requests() {
			lines = append(lines, r.Method+" "+r.URL.String())
		}
		if got := strings.Join(lines, ", "); got != want {
			t.Errorf("%s: the proxy saw %s, want %s", url, got, want)
		}
	}
}

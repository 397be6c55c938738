package gha_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/backend/backendtest"
	"github.com/larderbuild/larder/backend/gha"
	"github.com/larderbuild/larder/testserver"
)

// TestRefusals: what the service refuses, and what that means.
func TestRefusals(t *testing.T) {
	server := start(t)
	put := func() error {
		_, err := open(t, "").Put(t.Context(), "key", strings.NewReader("data"), backend.OptionsOf([]byte("data")))
		return err
	}
	if err := put(); err != nil {
		t.Fatal(err)
	}

	server.Change(func(r *testserver.ActionsRules) { r.Creations = 1 })
	var busy *backend.Busy
	if err := put(); !errors.As(err, &busy) || busy.Object || busy.After < time.Second || busy.After > time.Minute {
		t.Errorf("above the limit: %v, %+v", err, busy)
	}
	server.Advance(time.Minute)

	server.Setenv(t, server.ReadOnlyToken(mainRef))
	if err := put(); !errors.Is(err, backend.ErrReader) {
		t.Errorf("with a read-only token: %v, want ErrReader", err)
	}
	if got := get(t, open(t, ""), "key", backend.Range{}); got != "data" {
		t.Errorf("with a read-only token: got %q", got)
	}

	for name, token := range map[string]string{"no scope": server.ReadOnlyToken(), "garbage": "garbage"} {
		server.Setenv(t, token)
		if _, _, err := open(t, "").Get(t.Context(), "key", backend.Range{}); !errors.Is(err, backend.ErrDenied) {
			t.Errorf("%s: %v, want ErrDenied", name, err)
		}
	}
}

// answering returns a store whose service always gives the same answer, one that no test
// server gives on demand.
func answering(t *testing.T, code int, body string) backend.Store {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Retry-After", "7")
		w.WriteHeader(code)
		io.WriteString(w, body)
	}))
	t.Cleanup(server.Close)
	t.Setenv("ACTIONS_RESULTS_URL", server.URL)
	t.Setenv("ACTIONS_RUNTIME_TOKEN", "the-token")
	return open(t, "")
}

func TestAnswersOfTheService(t *testing.T) {
	const url = `"http://127.0.0.1:1/blob?sig=secret"`
	for _, test := range []struct {
		name     string
		code     int
		body     string
		get, put error // nil: a fault
	}{
		{"a miss", 200, `{"ok":false}`, backend.ErrNotFound, nil},
		{"another kind of miss", 404, `{"code":"not_found","msg":"no"}`, backend.ErrNotFound, nil},
		{"an older service", 404, `{"code":"bad_route","msg":"no handler"}`, backend.ErrDenied, backend.ErrDenied},
		{"a page", 404, `<html>not found</html>`, backend.ErrDenied, backend.ErrDenied},
		{"unauthenticated", 401, `{"code":"unauthenticated"}`, backend.ErrDenied, backend.ErrDenied},
		{"may not read", 403, `{"code":"permission_denied","msg":"cache read denied: no scopes"}`, backend.ErrDenied, backend.ErrDenied},
		{"may not write", 403, `{"code":"permission_denied","msg":"cache write denied: no scopes"}`, backend.ErrReadOnly, backend.ErrReadOnly},
		{"may not write, it says politely", 200, `{"ok":false,"message":"cache write denied: no scopes"}`, backend.ErrReadOnly, backend.ErrReadOnly},
		{"no money left", 403, `{"code":"resource_exhausted","msg":"insufficient usage to create"}`, backend.ErrDenied, backend.ErrDenied},
		{"taken", 409, `{"code":"already_exists","msg":"exists"}`, nil, nil},
		{"broken", 500, ``, nil, nil},
		{"not JSON", 200, `<html>`, nil, nil},
		{"nothing", 200, ``, nil, nil},
		{"null", 200, `null`, backend.ErrNotFound, nil},
		{"a lot", 200, `{"ok":true,"matched_key":"key#` + strings.Repeat("1", 4<<20), nil, nil},
		{"no URL", 200, `{"ok":true,"matched_key":"key#1"}`, nil, nil},
		{"no good URL", 200, `{"ok":true,"matched_key":"key#1","signed_download_url":"http://[secret","signed_upload_url":"http://[secret"}`, nil, nil},
		{"another key", 200, `{"ok":true,"matched_key":"keys#1","signed_download_url":` + url + `}`, nil, nil},
		{"a storage that is down", 200, `{"ok":true,"matched_key":"key#1","signed_download_url":` + url + `,"signed_upload_url":` + url + `}`, nil, nil},
		{"a URL in a message", 400, `{"code":"malformed","msg":"at http://host/?sig=secret&x"}`, nil, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := answering(t, test.code, test.body)
			_, _, err := s.Get(t.Context(), "key", backend.Range{})
			means(t, "get", err, test.get)
			_, err = s.Put(t.Context(), "key", strings.NewReader("data"), backend.OptionsOf([]byte("data")))
			means(t, "put", err, test.put)
		})
	}
	for _, code := range []int{429, 503} {
		var busy *backend.Busy
		_, _, err := answering(t, code, "").Get(t.Context(), "key", backend.Range{})
		if !errors.As(err, &busy) || *busy != (backend.Busy{After: 7 * time.Second}) {
			t.Errorf("%d: %v", code, err)
		}
	}
}

// TestSigned: a signed URL of a service that has TLS has TLS, too.
func TestSigned(t *testing.T) {
	for _, test := range []struct {
		root, signed string
		good         bool
	}{
		{"https", "https://account.blob.example/x?sig=secret", true},
		{"https", "http://account.blob.example/x?sig=secret", false},
		{"http", "http://127.0.0.1/x?sig=secret", true},
		{"http", "https://account.blob.example/x?sig=secret", true},
		{"https", "file:///secret", false},
		{"https", "/secret", false},
		{"https", "", false},
	} {
		err := gha.Signed(&url.URL{Scheme: test.root, Host: "results"}, test.signed)
		if (err == nil) != test.good || err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%s of a service with %s: %v", test.signed, test.root, err)
		}
	}
}

// means checks that err is want and no other error of package backend, and repeats no
// secret.
func means(t *testing.T, op string, err, want error) {
	t.Helper()
	if err == nil {
		t.Errorf("%s: no error", op)
		return
	}
	for _, sentinel := range []error{backend.ErrNotFound, backend.ErrConflict, backend.ErrDigest, backend.ErrDenied, backend.ErrReadOnly} {
		if errors.Is(err, sentinel) != (sentinel == want) {
			t.Errorf("%s: %v is %v, want %v", op, err, sentinel, want)
		}
	}
	if strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "the-token") {
		t.Errorf("%s: a secret in %v", op, err)
	}
}

// TestAnswersOfTheStorage: the service is right, and the storage answers what no storage
// does.
func TestAnswersOfTheStorage(t *testing.T) {
	backendtest.RunAnswers(t, func(t *testing.T, endpoint string) backend.Store {
		service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, `{"ok":true,"matched_key":"key#1","signed_download_url":"`+endpoint+`/blob?sig=x","signed_upload_url":"`+endpoint+`/blob?sig=x"}`)
		}))
		t.Cleanup(service.Close)
		t.Setenv("ACTIONS_RESULTS_URL", service.URL)
		t.Setenv("ACTIONS_RUNTIME_TOKEN", "token")
		return open(t, "")
	})
}

// TestNoService: where there is no cache service, an error says why.
func TestNoService(t *testing.T) {
	for _, test := range []struct{ name, server, url, token, want string }{
		{"no action has handed the variables on", "https://github.com", "", "", "larderbuild/larder"},
		{"no token", "https://github.com", "https://results", "", "ACTIONS_RUNTIME_TOKEN"},
		{"GitHub Enterprise Server", "https://github.example.com", "https://results", "token", "https://github.example.com has no cache service"},
		{"no URL", "https://github.com", "results", "token", "ACTIONS_RESULTS_URL must be"},
	} {
		t.Setenv("GITHUB_SERVER_URL", test.server)
		t.Setenv("ACTIONS_RESULTS_URL", test.url)
		t.Setenv("ACTIONS_RUNTIME_TOKEN", test.token)
		if _, err := gha.Open(t.Context(), gha.Config{}); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", test.name, err, test.want)
		}
	}
	for _, server := range []string{"", "https://github.com", "https://acme.ghe.com", "http://github.localhost"} {
		t.Setenv("GITHUB_SERVER_URL", server)
		t.Setenv("ACTIONS_RESULTS_URL", "https://results/")
		t.Setenv("ACTIONS_RUNTIME_TOKEN", "token")
		s, err := gha.Open(t.Context(), gha.Config{})
		if err != nil {
			t.Errorf("%s: %v", server, err)
			continue
		}
		s.Close()
	}
}

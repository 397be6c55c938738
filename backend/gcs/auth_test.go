package gcs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/compute/metadata"

	"github.com/larderbuild/larder/backend"
)

// request sends a request through what adds the credentials of the environment, and returns
// its header as a store gets it.
func request(ctx context.Context, a *authorized) (http.Header, error) {
	var got http.Header
	a.base = roundTripper(func(req *http.Request) (*http.Response, error) {
		got = req.Header
		return &http.Response{StatusCode: 200, Body: http.NoBody}, nil
	})
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://store.example", nil)
	if err != nil {
		return nil, err
	}
	res, err := a.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	res.Body.Close()
	return got, nil
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// noEnvironment hides the credentials of whoever runs the test.
func noEnvironment(t *testing.T) (home string) {
	home = t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("APPDATA", home)
	for _, name := range []string{"GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_CLOUD_QUOTA_PROJECT", "GOOGLE_CLOUD_UNIVERSE_DOMAIN", "GCE_METADATA_HOST"} {
		t.Setenv(name, "")
	}
	return home
}

// print returns a command that prints the file at path.
func print(path string) string {
	if runtime.GOOS == "windows" {
		return "cmd /c type " + path
	}
	return "cat " + path
}

// TestCredentials: a request has the token of each kind of credentials that Google's own
// clients take.
func TestCredentials(t *testing.T) {
	g := newGoogle(t)
	subject := filepath.Join(t.TempDir(), "subject")
	if err := os.WriteFile(subject, []byte("subject"), 0o600); err != nil {
		t.Fatal(err)
	}
	fromFile := map[string]any{"file": subject}
	fromURL := map[string]any{"url": g.URL + "/subject", "format": map[string]any{"type": "json", "subject_token_field_name": "id_token"}}
	fromProgram := map[string]any{"executable": map[string]any{"timeout_millis": 30_000, "command": print(file(t, map[string]any{
		"version": 1, "success": true, "id_token": "subject", "token_type": "urn:ietf:params:oauth:token-type:id_token",
		"expiration_time": time.Now().Add(time.Hour).Unix(),
	}))}}
	impersonated := map[string]any{
		"type": "impersonated_service_account", "service_account_impersonation_url": g.URL + "/impersonate",
		"source_credentials": g.key(t),
	}
	for _, test := range []struct {
		name        string
		credentials map[string]any
		token       string
		payer       string
	}{
		{"key", g.key(t), "for a key", ""},
		{"key, and who pays", with(g.key(t), "quota_project_id", "project"), "for a key", "project"},
		{"workload, file", g.workload(fromFile), "for a workload", ""},
		{"workload, URL", g.workload(fromURL), "for a workload", ""},
		{"workload, program", g.workload(fromProgram), "for a workload", ""},
		{"workload, impersonating", with(g.workload(fromFile), "service_account_impersonation_url", g.URL+"/impersonate"), "for another account", ""},
		{"impersonated", impersonated, "for another account", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			noEnvironment(t)
			t.Setenv("GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES", "1")
			t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", file(t, test.credentials))
			wantToken(t, new(authorized), test.token, test.payer)
		})
	}
	t.Run("gcloud's own", func(t *testing.T) {
		folder := filepath.Join(noEnvironment(t), ".config", "gcloud")
		if runtime.GOOS == "windows" {
			folder = filepath.Join(os.Getenv("APPDATA"), "gcloud")
		}
		if err := os.MkdirAll(folder, 0o700); err != nil {
			t.Fatal(err)
		}
		credentials := file(t, with(g.key(t), "quota_project_id", "project"))
		if err := os.Rename(credentials, filepath.Join(folder, "application_default_credentials.json")); err != nil {
			t.Fatal(err)
		}
		t.Setenv("GOOGLE_CLOUD_QUOTA_PROJECT", "another project")
		wantToken(t, new(authorized), "for a key", "another project")
	})
	t.Run("machine", func(t *testing.T) {
		noEnvironment(t)
		t.Setenv("GOOGLE_CLOUD_QUOTA_PROJECT", "project")
		t.Setenv("GCE_METADATA_HOST", strings.TrimPrefix(g.URL, "http://"))
		wantToken(t, new(authorized), "for a machine", "project")
	})
}

// TestOtherCloud: in a cloud that is not Google's public one, the key itself signs a token.
func TestOtherCloud(t *testing.T) {
	g := newGoogle(t)
	noEnvironment(t)
	t.Setenv("GOOGLE_CLOUD_UNIVERSE_DOMAIN", "example.com")
	t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", file(t, with(g.key(t), "universe_domain", "example.com")))
	header, err := request(t.Context(), new(authorized))
	if err != nil {
		t.Fatal(err)
	}
	token := strings.TrimPrefix(header.Get("Authorization"), "Bearer ")
	if got := claims(token); got.Scope != scope || g.tokens.Load() > 0 {
		t.Errorf("got %q, which says %+v; asked for %d tokens", token, got, g.tokens.Load())
	}
}

// wantToken sends two requests, and wants the token in both, after one question for it.
func wantToken(t *testing.T, a *authorized, token, payer string) {
	t.Helper()
	for range 2 {
		header, err := request(t.Context(), a)
		if err != nil {
			t.Fatal(err)
		}
		if got := header.Get("Authorization"); got != "Bearer "+token {
			t.Errorf("got %q, want %q", got, "Bearer "+token)
		}
		if got := header.Get("X-Goog-User-Project"); got != payer {
			t.Errorf("%q pays, want %q", got, payer)
		}
	}
}

// TestNoToken: whoever has wrong credentials is denied. Trouble with a server of tokens may
// pass. The error is short in both cases.
func TestNoToken(t *testing.T) {
	g := newGoogle(t)
	missing := map[string]any{"file": filepath.Join(t.TempDir(), "missing")}
	there := filepath.Join(t.TempDir(), "subject")
	if err := os.WriteFile(there, []byte("subject"), 0o600); err != nil {
		t.Fatal(err)
	}
	closed := httptest.NewServer(nil)
	closed.Close()
	for _, test := range []struct {
		name        string
		credentials map[string]any
		status      int64 // of the answers of the server of tokens
		denied      bool
	}{
		{"key, refused", g.key(t), 400, true},
		{"key, broken server", g.key(t), 503, false},
		{"key, no server", with(g.key(t), "token_uri", closed.URL), 0, false},
		{"workload, refused", g.workload(map[string]any{"file": there}), 403, true},
		{"workload, broken server", g.workload(map[string]any{"file": there}), 503, false},
		{"workload, busy server", g.workload(map[string]any{"file": there}), 429, false},
		{"workload, no server", with(g.workload(map[string]any{"file": there}), "token_url", closed.URL), 0, false},
		{"workload, no file", g.workload(missing), 0, true},
		{"unknown kind", map[string]any{"type": "unknown"}, 0, true},
		{"an application's", map[string]any{"installed": map[string]any{"client_id": "id", "redirect_uris": []string{"http://localhost"}}}, 0, true},
		{"another cloud", with(g.key(t), "universe_domain", "example.com"), 0, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			noEnvironment(t)
			t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", file(t, test.credentials))
			g.refuse.Store(test.status)
			defer g.refuse.Store(0)
			_, err := request(t.Context(), new(authorized))
			if err == nil || errors.Is(err, backend.ErrDenied) != test.denied {
				t.Fatalf("got %v, denied: want %v", err, test.denied)
			}
			if text := err.Error(); len(text) > 400 || strings.Contains(text, "\n") {
				t.Errorf("an error of %d bytes: %s", len(text), text)
			}
		})
	}
}

// TestFaultAndThenNoFile: what has kept a token away before does not count.
func TestFaultAndThenNoFile(t *testing.T) {
	g := newGoogle(t)
	noEnvironment(t)
	subject := file(t, nil)
	t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", file(t, g.workload(map[string]any{"file": subject})))
	g.refuse.Store(503)
	a := new(authorized)
	if _, err := request(t.Context(), a); err == nil || errors.Is(err, backend.ErrDenied) {
		t.Errorf("broken server: %v", err)
	}
	if err := os.Remove(subject); err != nil {
		t.Fatal(err)
	}
	if _, err := request(t.Context(), a); !errors.Is(err, backend.ErrDenied) {
		t.Errorf("no file: %v", err)
	}
}

// TestMachineWithoutAccount: that it has none does not change.
func TestMachineWithoutAccount(t *testing.T) {
	g := newGoogle(t)
	g.refuse.Store(404)
	noEnvironment(t)
	t.Setenv("GCE_METADATA_HOST", strings.TrimPrefix(g.URL, "http://"))
	if _, err := request(t.Context(), new(authorized)); !errors.Is(err, backend.ErrDenied) {
		t.Errorf("got %v, want ErrDenied", err)
	}
}

// TestMachineMayPass has errors that the library returns only after it has tried again for
// seconds.
func TestMachineMayPass(t *testing.T) {
	for _, test := range []struct {
		err  error
		want bool
	}{
		{&metadata.Error{Code: 503}, true},
		{&metadata.Error{Code: 403}, false},
		{fmt.Errorf("no token: %w", &url.Error{Op: "Get", Err: io.EOF}), true},
		{metadata.NotDefinedError("token"), false},
	} {
		if got := machineMayPass(test.err); got != test.want {
			t.Errorf("%v: got %v", test.err, got)
		}
	}
}

// TestSlowToken: a request does not wait for a token longer than it may. The next one uses
// what came meanwhile.
func TestSlowToken(t *testing.T) {
	g := newGoogle(t)
	g.gate = make(chan struct{})
	noEnvironment(t)
	t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", file(t, g.key(t)))
	a := new(authorized)
	given := errors.New("given up")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(given)
	for range 3 {
		if _, err := request(ctx, a); !errors.Is(err, given) {
			t.Errorf("got %v, want %v", err, given)
		}
	}
	close(g.gate)
	wantToken(t, a, "for a key", "")
	if n := g.tokens.Load(); n != 1 {
		t.Errorf("asked for %d tokens, want 1", n)
	}
}

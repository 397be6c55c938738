package reapi_test

import (
	"context"
	"crypto/sha1"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/backend/backendtest"
	"github.com/larderbuild/larder/testserver"
)

// TestPassword: a user and a password, as bazel-remote wants them.
func TestPassword(t *testing.T) {
	t.Parallel()
	sum := sha1.Sum([]byte("p@ss"))
	file := filepath.Join(t.TempDir(), "htpasswd")
	if err := os.WriteFile(file, []byte("user:{SHA}"+base64.StdEncoding.EncodeToString(sum[:])+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	addr := testserver.BazelRemote(t, "--htpasswd_file", file)
	s := openFor(t, "grpc://user:p%40ss@"+addr)
	backendtest.PutBytes(t, s, "key", []byte("data"))
	if data, err := get(t, s, "key", backend.Range{}); err != nil || data != "data" {
		t.Errorf("%q, %v", data, err)
	}
	for _, url := range []string{"grpc://" + addr, "grpc://user:wrong@" + addr, "grpc://nobody:p%40ss@" + addr} {
		for _, op := range []string{"get", "put"} {
			err := call(t, openFor(t, url), op, small)
			means(t, url+" "+op, err, backend.ErrDenied)
			if err != nil && strings.Contains(err.Error(), "wrong") {
				t.Errorf("a password in %v", err)
			}
		}
	}
}

// TestTLS: certificates of both sides, as docs/remotes/bazel-remote.yml has them.
func TestTLS(t *testing.T) {
	recipe, err := os.ReadFile("../../docs/remotes/bazel-remote.yml")
	if err != nil {
		t.Fatal(err)
	}
	authority := testserver.NewAuthority(t)
	cert, key := authority.Issue("server", time.Now().Add(time.Hour))
	here := strings.NewReplacer("/etc/bazel-remote/server.pem", cert, "/etc/bazel-remote/server.key", key, "/etc/bazel-remote/clients.pem", authority.File)
	_, list, _ := strings.Cut(string(recipe), "command: ")
	var flags []string
	if err := json.NewDecoder(strings.NewReader(list)).Decode(&flags); err != nil {
		t.Fatal(err)
	}
	for i := range flags {
		flags[i] = here.Replace(flags[i])
	}
	elsewhere := func(flag string) bool { return strings.HasPrefix(flag, "--grpc_address") }
	url := "grpcs://" + testserver.BazelRemote(t, slices.DeleteFunc(flags, elsewhere)...) + "/team"
	get := func() error { return call(t, openFor(t, url), "get", small) }
	means(t, "an unknown authority", get(), errFault)
	t.Setenv("LARDER_TLS_CA", authority.File)
	if err := get(); err == nil || errors.Is(err, backend.ErrNotFound) {
		t.Errorf("without a certificate: %v", err)
	}
	client, clientKey := authority.Issue("client", time.Now().Add(time.Hour))
	t.Setenv("LARDER_TLS_CERT", client)
	t.Setenv("LARDER_TLS_KEY", clientKey)
	s := openFor(t, url)
	for key, data := range contents {
		backendtest.PutBytes(t, s, key, []byte(data))
	}
	means(t, "without TLS", call(t, openFor(t, strings.Replace(url, "grpcs", "grpc", 1)), "get", small), errFault)
}

// demand has c let in only who has a token.
func (c *cache) demand(token string) (seen func() string) {
	var tokens []string
	c.enter = func(ctx context.Context) error {
		got := headerOf(ctx, "authorization")
		c.mu.Lock()
		tokens = append(tokens, got)
		c.mu.Unlock()
		if got != "Bearer "+token {
			return status.Error(codes.Unauthenticated, "who are you?")
		}
		return nil
	}
	return func() string {
		c.mu.Lock()
		defer c.mu.Unlock()
		all := strings.Join(tokens, ", ")
		tokens = nil
		return all
	}
}

// printing has LARDER_TOKEN_COMMAND print token-1, then token-2, and so on.
func printing(t *testing.T) {
	t.Setenv("RUNS", filepath.Join(t.TempDir(), "runs"))
	t.Setenv("LARDER_TOKEN_COMMAND", `echo >>"$RUNS"; echo token-$(($(wc -l <"$RUNS")))`)
}

// TestTokenIsRefused: a token that is refused is got anew once, also in the middle of an upload.
func TestTokenIsRefused(t *testing.T) {
	c := newCache(t)
	seen := c.demand("token-2")
	printing(t)
	s := openFor(t, c.url)
	if err := call(t, s, "put", small); err != nil {
		t.Error(err)
	}
	if got := seen(); got != "Bearer token-1, Bearer token-2, Bearer token-2, Bearer token-2" {
		t.Errorf("the server saw %s", got)
	}
	c.demand("token-3")
	if err := call(t, s, "put", large); err != nil {
		t.Error(err)
	}
	seen = c.demand("token-9")
	means(t, "get", call(t, s, "get", small), backend.ErrDenied)
	if got := seen(); got != "Bearer token-3, Bearer token-4" {
		t.Errorf("the server saw %s", got)
	}
}

// TestToken: LARDER_TOKEN goes along, and is not got anew.
func TestToken(t *testing.T) {
	c := newCache(t)
	seen := c.demand("right")
	for token, want := range map[string]error{"": backend.ErrDenied, "wrong": backend.ErrDenied, "right": backend.ErrNotFound} {
		t.Setenv("LARDER_TOKEN", token)
		means(t, token, call(t, openFor(t, c.url), "get", small), want)
		if got := seen(); want == backend.ErrDenied && got != strings.TrimSpace("Bearer "+token) && got != "" {
			t.Errorf("the server saw %s", got)
		}
	}
}

// TestUploadIsRefused: an upload whose token is refused begins anew with the next one.
func TestUploadIsRefused(t *testing.T) {
	c := newCache(t)
	printing(t)
	s := openFor(t, c.url)
	c.enter = func(ctx context.Context) error {
		if headerOf(ctx, "authorization") == "Bearer token-1" && strings.HasSuffix(c.last(), "Write") {
			return status.Error(codes.Unauthenticated, "expired")
		}
		return nil
	}
	if err := call(t, s, "put", large); err != nil {
		t.Error(err)
	}
	if calls := c.called(); calls != "GetCapabilities FindMissingBlobs Write Write UpdateActionResult" {
		t.Errorf("calls %s", calls)
	}
}

// TestProxy: a proxy is asked for a server with TLS that is not on this host, and no other.
func TestProxy(t *testing.T) {
	for url, want := range map[string]string{
		"grpcs://store.example:8443/a": "CONNECT store.example:8443",
		"grpcs://store.example":        "CONNECT store.example:443",
		"grpc://store.invalid:1":       "",
	} {
		if err := call(t, openFor(t, url), "get", small); err == nil || errors.Is(err, backend.ErrNotFound) {
			t.Errorf("%s: %v", url, err)
		}
		select {
		case got := <-proxied:
			if got != want {
				t.Errorf("%s: the proxy saw %s, want %s", url, got, want)
			}
		default:
			if want != "" {
				t.Errorf("%s: the proxy saw nothing, want %s", url, want)
			}
		}
	}
}

// proxied gets what the proxy in the place of all other hosts is asked.
var proxied = make(chan string, 10)

// startProxy starts that proxy. Package net/http reads the variables once, at the first request.
func startProxy() {
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		proxied <- fmt.Sprint(r.Method, " ", r.Host)
		http.Error(w, "no", http.StatusForbidden)
	}))
	for _, name := range []string{"HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy"} {
		os.Setenv(name, proxy.URL)
	}
	os.Unsetenv("NO_PROXY")
	os.Unsetenv("no_proxy")
}

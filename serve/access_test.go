package serve_test

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/larderbuild/larder/serve"
)

const rules = `{
	"anonymous": {"read": ["open"]},
	"tokens": [
		{"name": "ci", "token": "ci-token", "read": ["main"], "write": ["pr-*"]},
		{"name": "hashed", "sha256": "{sha256:hashed-token}", "write": ["main"]},
		{"name": "tools", "token": "tools-token", "read": ["@bazel"], "write": ["@cache"]},
		{"name": "all", "token": "all-token", "read": ["*"]},
		{"name": "stars", "token": "stars-token", "read": ["*?"], "write": ["?*"]},
		{"name": "ci again", "token": "ci-token", "read": ["extra"]}
	]
}`

// openWithRules starts a server with rules in a file. It returns what the server logs, too.
func openWithRules(t *testing.T) (k *kitchen, file string, log *lockedBuffer) {
	t.Helper()
	file, log = filepath.Join(t.TempDir(), "rules"), new(lockedBuffer)
	writeRules(t, file, strings.ReplaceAll(rules, "{sha256:hashed-token}", sha256Of("hashed-token")))
	k = open(t, func(c *serve.Config) {
		var err error
		if c.Access, err = serve.LoadAccess(file, slog.New(slog.NewTextHandler(log, nil))); err != nil {
			t.Fatal(err)
		}
	})
	return k, file, log
}

// writeRules replaces a file.
func writeRules(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file+".new", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(file+".new", file); err != nil {
		t.Fatal(err)
	}
}

// lockedBuffer is a bytes.Buffer for several goroutines.
type lockedBuffer struct {
	mu  sync.Mutex
	all bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.all.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.all.String()
}

// TestAccess asks a server that has rules.
func TestAccess(t *testing.T) {
	t.Parallel()
	k, _, _ := openWithRules(t)
	const md5 = "Content-MD5: {md5:x}"
	bearer := func(token string) h { return h{"Authorization: Bearer " + token, md5} }
	unknown := h{`WWW-Authenticate: Bearer realm="larder", Basic realm="larder"`}
	known := h{"WWW-Authenticate:"}
	k.run([]row{
		{"no token", "GET /v1/main/a", nil, "", 401, unknown, "", ""},
		{"no token, HEAD", "HEAD /v1/main/a", nil, "", 401, unknown, "", ""},
		{"no token, PUT", "PUT /v1/main/a", h{md5}, "x", 401, unknown, "", ""},
		{"no token, DELETE", "DELETE /v1/main/a", nil, "", 401, unknown, "", ""},
		{"no token, but all may", "GET /v1/open/a", nil, "", 404, known, "not found", ""},
		{"all may not write", "PUT /v1/open/a", h{md5}, "x", 401, unknown, "", ""},
		{"wrong token", "GET /v1/main/a", bearer("ci-toke"), "", 401, unknown, "", ""},
		{"the digest is no token", "GET /v1/main/a", bearer("{sha256:hashed-token}"), "", 401, unknown, "", ""},
		{"another scheme", "GET /v1/main/a", h{"Authorization: Digest ci-token"}, "", 401, unknown, "", ""},
		{"reads", "GET /v1/main/a", bearer("ci-token"), "", 404, known, "not found", ""},
		{"reads, scheme in lower case", "GET /v1/main/a", h{"Authorization: bearer ci-token"}, "", 404, nil, "not found", ""},
		{"does not write", "PUT /v1/main/a", bearer("ci-token"), "x", 403, known, "not allowed", ""},
		{"does not delete", "DELETE /v1/main/a", bearer("ci-token"), "", 403, known, "not allowed", ""},
		{"another scope", "GET /v1/secret/a", bearer("ci-token"), "", 403, known, "not allowed", ""},
		{"pattern", "PUT /v1/pr-1/a", bearer("ci-token"), "x", 201, nil, "", "+v1/pr-1/a"},
		{"pattern, reads too", "GET /v1/pr-1/a", bearer("ci-token"), "", 200, nil, "x", ""},
		{"pattern, empty end", "PUT /v1/pr-/a", bearer("ci-token"), "x", 201, nil, "", "+v1/pr-/a"},
		{"pattern is of the whole", "PUT /v1/xpr-1/a", bearer("ci-token"), "x", 403, nil, "not allowed", ""},
		{"no way round", "PUT /v1/pr-1/../main/a", bearer("ci-token"), "x", 400, nil, "..", ""},
		{"no way round, escaped", "PUT /v1/pr-1%2F..%2Fmain/a", bearer("ci-token"), "x", 400, nil, "slash", ""},
		{"the rights of two rules", "GET /v1/extra/a", bearer("ci-token"), "", 404, nil, "not found", ""},
		{"what all may, with a token", "GET /v1/open/a", bearer("ci-token"), "", 404, nil, "not found", ""},
		{"token by its digest", "PUT /v1/main/a", bearer("hashed-token"), "x", 201, nil, "", "+v1/main/a"},
		{"basic", "GET /v1/main/a", h{"--user", "-:ci-token"}, "", 200, nil, "x", ""},
		{"basic, wrong", "GET /v1/main/a", h{"--user", "-ci-token:ci"}, "", 401, unknown, "", ""},
		{"cache", "PUT /cache/a", bearer("tools-token"), "x", 201, nil, "", "+cache/a"},
		{"cache, reads", "GET /cache/a", bearer("tools-token"), "", 200, nil, "x", ""},
		{"cache, without", "GET /cache/a", nil, "", 401, unknown, "", ""},
		{"cache, another", "PUT /cache/a", bearer("ci-token"), "x", 403, nil, "not allowed", ""},
		{"bazel, reads", "GET /a/ac/{sha256:x}", bearer("tools-token"), "", 404, nil, "not found", ""},
		{"bazel, does not write", "PUT /cas/{sha256:x}", bearer("tools-token"), "x", 403, nil, "not allowed", ""},
		{"bazel, without", "GET /cas/{sha256:x}", nil, "", 401, unknown, "", ""},
		{"bazel, without, the empty blob", "GET /cas/{sha256:}", nil, "", 401, unknown, "", ""},
		{"patterns of scopes are not of tools", "GET /cache/a", bearer("stars-token"), "", 403, nil, "not allowed", ""},
		{"patterns of scopes are of scopes", "GET /v1/main/a", bearer("stars-token"), "", 200, nil, "x", ""},
		{"all reads cache", "GET /cache/a", bearer("all-token"), "", 200, nil, "x", ""},
		{"all reads scopes", "GET /v1/main/a", bearer("all-token"), "", 200, nil, "x", ""},
		{"all does not write", "PUT /v1/main/a", bearer("all-token"), "x", 403, nil, "not allowed", ""},
		{"lists", "HEAD /v1/main/?list=", bearer("ci-token"), "", 200, nil, "", ""},
		{"lists a part", "HEAD /v1/main/?list=a", bearer("ci-token"), "", 200, nil, "", ""},
		{"lists by the parameter", "HEAD /v1/?list=main/", bearer("ci-token"), "", 200, nil, "", ""},
		{"lists another", "HEAD /v1/secret/?list=", bearer("ci-token"), "", 403, nil, "", ""},
		{"lists another by the parameter", "HEAD /v1/?list=secret/", bearer("ci-token"), "", 403, nil, "", ""},
		{"lists what begins like its scope", "HEAD /v1/?list=main", bearer("ci-token"), "", 403, nil, "", ""},
		{"lists all", "HEAD /v1/?list=", bearer("ci-token"), "", 403, nil, "", ""},
		{"lists all by patterns", "HEAD /v1/?list=", bearer("stars-token"), "", 403, nil, "", ""},
		{"lists all with all", "HEAD /v1/?list=", bearer("all-token"), "", 200, nil, "", ""},
		{"healthz", "GET /healthz", nil, "", 200, nil, "ok\n", ""},
		{"readyz", "GET /readyz", nil, "", 200, nil, "ok\n", ""},
		{"refused before the body is read", "PUT /cache/b", h{"Expect: 100-continue", md5}, "x", 401, unknown, "", ""},
	})
}

// wait sends a request until it has a status.
func (k *kitchen) wait(request string, with h, status int) {
	k.t.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		a := k.send(request, with, "")
		if a.status == status {
			return
		}
		if time.Now().After(end) {
			k.t.Fatalf("%s: status %d, want %d", request, a.status, status)
		}
	}
}

// Rules change with their file. A malformed file changes nothing, and the log says so without a token.
func TestRulesThatChange(t *testing.T) {
	t.Parallel()
	k, file, log := openWithRules(t)
	with := h{"Authorization: Bearer ci-token"}
	k.wait("GET /v1/main/a", with, 404)
	writeRules(t, file, `{"tokens": [{"token": "ci-token", "read": ["next"]}]}`)
	k.wait("GET /v1/main/a", with, 403)
	k.wait("GET /v1/next/a", with, 404)

	for _, bad := range []string{`{"tokens": [{"token": "secret-token", "reads": ["main"]}]}`, "", "{} {}"} {
		said := strings.Count(log.String(), "the rules stay")
		writeRules(t, file, bad)
		for end := time.Now().Add(time.Minute); strings.Count(log.String(), "the rules stay") == said; time.Sleep(50 * time.Millisecond) {
			if a := k.send("GET /v1/next/a", with, ""); a.status != 404 {
				t.Fatalf("with %q: status %d", bad, a.status)
			}
			if time.Now().After(end) {
				t.Fatalf("the log says nothing about %q: %s", bad, log)
			}
		}
		k.wait("GET /v1/next/a", with, 404)
		k.wait("GET /v1/main/a", with, 403)
	}
	if strings.Contains(log.String(), "secret-token") {
		t.Errorf("a token is in the log: %s", log)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	k.wait("GET /v1/next/a", with, 404)
	writeRules(t, file, `{"anonymous": {"read": ["main"]}}`)
	k.wait("GET /v1/main/a", nil, 404)
	k.wait("GET /v1/next/a", with, 401)
}

func TestMalformedRules(t *testing.T) {
	digest := sha256Of("x")
	for _, test := range []struct{ rules, want string }{
		{``, "not an object"},
		{`[]`, "not an object"},
		{`{"tokens": [{"token": "t0ken", "raed": ["a"]}]}`, "raed"},
		{`{"anonymous": {"read": "main"}}`, "anonymous"},
		{`{"anonymous": {"read": ["["]}}`, "anonymous"},
		{`{"anonymous": {"write": [""]}}`, "anonymous"},
		{`{} x`, "more"},
		{`{"tokens": [{"read": ["a"]}]}`, "either"},
		{`{"tokens": [{"token": "t0ken", "sha256": "` + digest + `"}]}`, "either"},
		{`{"tokens": [{"sha256": "abc"}]}`, "64"},
		{`{"tokens": [{"token": "x"}, {"name": "second", "token": "t0ken", "read": ["a["]}]}`, `number 2 ("second")`},
		{`{"certificates": [{"read": ["a"]}]}`, "name is missing"},
		{`{"certificates": [{"name": "[", "read": ["a"]}]}`, "pattern"},
	} {
		_, err := serve.ParseRules([]byte(test.rules))
		if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "t0ken") {
			t.Errorf("%s: %v, want %q", test.rules, err, test.want)
		}
	}
}

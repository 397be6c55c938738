package serve_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/md5"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/coreos/go-oidc/v3/oidc/oidctest"

	"github.com/larderbuild/larder/backend/backendtest"
	"github.com/larderbuild/larder/serve"
)

// gitHubRules let main's jobs of a repository write main, and those of its pull requests a
// scope of their own. Another rule is careless: it lets all jobs of a repository write everything.
const gitHubRules = `{
	"oidc": [
		{"claims": {"repository": "org/repo", "ref": "refs/heads/main"}, "read": ["*"], "write": ["main"]},
		{"claims": {"repository": "org/repo", "ref": "refs/pull/{n}/merge"}, "read": ["main"], "write": ["pr-{n}"]},
		{"claims": {"repository": "org/careless"}, "write": ["*"]},
		{"claims": {"project_id": "{id}"}, "write": ["numbered-{id}"]}
	]
}`

const audience = "https://cache.example.com"

// TestOIDC shows which scopes jobs write by the tokens that their issuer has given them.
func TestOIDC(t *testing.T) {
	key, other := newKey(t), newKey(t)
	issuer := newIssuer(t, key)
	rules, err := serve.ParseRules([]byte(gitHubRules))
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	access := serve.NewAccess(rules, log)
	access.AddIssuer(issuer, audience)
	server := serve.New(serve.Config{
		Store: backendtest.Memory(), Access: access, MaxObject: 1 << 20, Requests: 1, Progress: time.Minute, TempDir: t.TempDir(), Log: log,
	})

	of := func(change map[string]any) map[string]any {
		claims := map[string]any{
			"iss": issuer, "aud": audience, "sub": "repo:org/repo", "iat": time.Now().Unix(), "exp": time.Now().Add(time.Minute).Unix(),
			"repository": "org/repo", "ref": "refs/heads/main", "event_name": "push",
		}
		maps.Copy(claims, change)
		return claims
	}
	signed := func(change map[string]any) string {
		return oidctest.SignIDToken(key, "key", oidc.ES256, text(t, of(change)))
	}
	unsigned := func(header string) string {
		encode := base64.RawURLEncoding.EncodeToString
		return encode([]byte(header)) + "." + encode([]byte(text(t, of(nil)))) + "."
	}
	gitLab := func(change map[string]any) string { // has no event_name
		claims := of(change)
		claims["repository"] = "org/careless"
		delete(claims, "event_name")
		return oidctest.SignIDToken(key, "key", oidc.ES256, text(t, claims))
	}
	pull := map[string]any{"ref": "refs/pull/7/merge", "event_name": "pull_request"}
	for _, test := range []struct {
		name, token, scope string
		want               int
	}{
		{"main", signed(nil), "main", http.StatusCreated},
		{"main writes a pull request's scope", signed(nil), "pr-7", http.StatusForbidden},
		{"a pull request", signed(pull), "pr-7", http.StatusCreated},
		{"a pull request writes another one's scope", signed(pull), "pr-77", http.StatusForbidden},
		{"a pull request claims main", signed(pull), "main", http.StatusForbidden},
		{"a pull request of a careless repository", signed(map[string]any{"repository": "org/careless", "event_name": "pull_request_target"}), "main", http.StatusForbidden},
		{"a merge request of one", signed(map[string]any{"repository": "org/careless", "pipeline_source": "merge_request_event"}), "main", http.StatusForbidden},
		{"a careless repository", signed(map[string]any{"repository": "org/careless"}), "anything", http.StatusCreated},
		{"another repository", signed(map[string]any{"repository": "org/repo2"}), "main", http.StatusForbidden},
		{"a repository whose name ends so", signed(map[string]any{"repository": "evil/org/repo"}), "main", http.StatusForbidden},
		{"another branch", signed(map[string]any{"ref": "refs/heads/main\n"}), "main", http.StatusForbidden},
		{"a ref with a pattern in it", signed(map[string]any{"ref": "refs/pull/*/merge"}), "pr-7", http.StatusForbidden},
		{"a claim that is a list", signed(map[string]any{"ref": []string{"x", "refs/heads/main"}}), "main", http.StatusCreated},
		{"a claim of another type", signed(map[string]any{"ref": map[string]string{"refs/heads/main": "refs/heads/main"}}), "main", http.StatusForbidden},
		{"a number", signed(map[string]any{"project_id": 123456789}), "numbered-123456789", http.StatusCreated},
		{"another number", signed(map[string]any{"project_id": 12345678}), "numbered-123456789", http.StatusForbidden},
		{"a comment in a careless repository", signed(map[string]any{"repository": "org/careless", "event_name": "issue_comment"}), "main", http.StatusForbidden},
		{"a comment writes its own scope", signed(map[string]any{"repository": "org/careless", "event_name": "issue_comment"}), "event-issue_comment", http.StatusCreated},
		{"a child of a merge request's pipeline", signed(map[string]any{"repository": "org/careless", "event_name": nil, "pipeline_source": "parent_pipeline", "ref_protected": "false"}), "main", http.StatusForbidden},
		{"a child of a protected branch's pipeline", gitLab(map[string]any{"pipeline_source": "parent_pipeline", "ref_protected": "true"}), "main", http.StatusCreated},
		{"a merge request", gitLab(map[string]any{"pipeline_source": "merge_request_event", "ref_protected": "true"}), "main", http.StatusForbidden},
		{"no claims", signed(map[string]any{"repository": nil, "ref": nil}), "main", http.StatusForbidden},
		{"expired", signed(map[string]any{"exp": time.Now().Add(-time.Minute).Unix()}), "main", http.StatusUnauthorized},
		{"wrong audience", signed(map[string]any{"aud": "https://other.example.com"}), "main", http.StatusUnauthorized},
		{"wrong issuer", signed(map[string]any{"iss": issuer + "/other"}), "main", http.StatusUnauthorized},
		{"another key", oidctest.SignIDToken(other, "key", oidc.ES256, text(t, of(nil))), "main", http.StatusUnauthorized},
		{"alg: none", unsigned(`{"alg":"none"}`), "main", http.StatusUnauthorized},
		{"alg: HS256", unsigned(`{"alg":"HS256","kid":"key"}`) + "c2lnbmF0dXJl", "main", http.StatusUnauthorized},
		{"no token", "a.b.c", "main", http.StatusUnauthorized},
		{"nothing", "", "main", http.StatusUnauthorized},
	} {
		t.Run(test.name, func(t *testing.T) {
			sum := md5.Sum([]byte(test.name))
			r := httptest.NewRequest(http.MethodPut, "/v1/"+test.scope+"/key", strings.NewReader(test.name))
			r.Header.Set("Content-Md5", base64.StdEncoding.EncodeToString(sum[:]))
			r.Header.Set("Authorization", "Bearer "+test.token)
			w := httptest.NewRecorder()
			server.ServeHTTP(w, r)
			if w.Code != test.want {
				t.Errorf("status %d, want %d: %s", w.Code, test.want, w.Body)
			}
		})
	}
}

// TestIssuerThatIsAway: nobody is let in, and the server goes on.
func TestIssuerThatIsAway(t *testing.T) {
	key := newKey(t)
	away := httptest.NewServer(http.NotFoundHandler())
	away.Close()
	rules, err := serve.ParseRules([]byte(gitHubRules))
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	access := serve.NewAccess(rules, log)
	access.AddIssuer(away.URL, audience)
	server := serve.New(serve.Config{Store: backendtest.Memory(), Access: access, Requests: 1, Progress: time.Minute, Log: log})
	token := oidctest.SignIDToken(key, "key", oidc.ES256, text(t, map[string]any{"iss": away.URL, "aud": audience}))
	for range 2 {
		r := httptest.NewRequest(http.MethodGet, "/v1/main/key", nil)
		r.Header.Set("Authorization", "Bearer "+token)
		w := httptest.NewRecorder()
		if server.ServeHTTP(w, r); w.Code != http.StatusUnauthorized {
			t.Errorf("status %d", w.Code)
		}
	}
}

// TestMalformedOIDCRules: each error says which rule is wrong.
func TestMalformedOIDCRules(t *testing.T) {
	for rule, want := range map[string]string{
		`{"write": ["main"]}`: "number 1: claims are missing",
		`{"claims": {"ref": "refs/pull/{n}/merge"}, "write": ["pr-{m}"]}`: `scope "pr-{m}": no claim has {m}`,
		`{"claims": {"ref": "{n}", "sub": "{n}"}, "write": ["pr-{n}"]}`:   "{n} stands twice",
		`{"claims": {"ref": "x"}, "write": ["["]}`:                        `"[" is no scope`,
		`{"claims": {"ref": "{n}"}, "write": ["[{n}]"]}`:                  "brackets",
		`{"claim": {"ref": "x"}}`:                                         "unknown field",
	} {
		if _, err := serve.ParseRules([]byte(`{"oidc": [` + rule + `]}`)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", rule, err, want)
		}
	}
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// newIssuer starts an issuer whose tokens key signs, and returns its URL.
func newIssuer(t *testing.T, key *ecdsa.PrivateKey) string {
	t.Helper()
	s := &oidctest.Server{
		PublicKeys: []oidctest.PublicKey{{PublicKey: key.Public(), KeyID: "key", Algorithm: oidc.ES256}},
		Algorithms: []string{oidc.ES256},
	}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	s.SetIssuer(server.URL)
	return server.URL
}

// text returns v in JSON.
func text(t *testing.T, v any) string {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

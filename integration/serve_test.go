package integration

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/larderbuild/larder/testserver"
)

// accessRules are those of a server that knows main's builds and pull requests by their
// tokens and certificates.
const accessRules = `{
	"tokens": [
		{"name": "main", "token": "token-of-main", "read": ["*"], "write": ["main"]},
		{"name": "pull request", "token": "token-of-pr-7", "read": ["main"], "write": ["pr-7"]}
	],
	"certificates": [{"name": "main", "read": ["*"], "write": ["main"]}]
}`

// TestServeAccess: larder serve knows by tokens and certificates who may read and write.
// Whoever is refused builds without the remote, and says so in a line.
func TestServeAccess(t *testing.T) {
	t.Parallel()
	ours, others := testserver.NewAuthority(t), testserver.NewAuthority(t)
	cert, key := ours.Issue("server", time.Now().Add(time.Hour))
	rules := filepath.Join(t.TempDir(), "rules.json")
	if err := os.WriteFile(rules, []byte(accessRules), 0o600); err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(t.TempDir(), "served")
	url := larderServe(t, "https", "--store", fileURL(folder), "--access", rules, "--tls-cert", cert, "--tls-key", key, "--tls-client-ca", ours.File)

	c := newChained(t, 3)
	by := func(a *testserver.Authority, name string, valid time.Duration) []string {
		cert, key := a.Issue(name, time.Now().Add(valid))
		return []string{"LARDER_TLS_CERT=" + cert, "LARDER_TLS_KEY=" + key}
	}
	for _, test := range []struct {
		name     string
		settings []string
		refused  string // what larder says
		writes   string // the scope in which there are objects then
	}{
		{"nobody", nil, "access denied", ""},
		{"wrong token", []string{"LARDER_TOKEN=token"}, "access denied", ""},
		{"expired", by(ours, "main", -time.Hour), "expired certificate", ""},
		{"another authority", by(others, "main", time.Hour), "certificate", ""},
		{"no rule", by(ours, "somebody", time.Hour), "access denied", ""},
		{"a pull request's token writes main", []string{"LARDER_TOKEN=token-of-pr-7"}, "access denied", ""},
		{"a pull request's token", []string{"LARDER_TOKEN_COMMAND=echo token-of-pr-7", "LARDER_SCOPE=pr-7"}, "", "pr-7"},
		{"main's certificate", by(ours, "main", time.Hour), "", "main"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if err := os.RemoveAll(folder); err != nil {
				t.Fatal(err)
			}
			settings := append([]string{"LARDER_TLS_CA=" + ours.File, "LARDER_CLOSE=wait"}, test.settings...)
			r := c.build(c.newStocked(t, url, settings...))
			if test.refused == "" && r.stderr != "" || test.refused != "" && (strings.Count(r.stderr, "\n") != 1 || !strings.Contains(r.stderr, test.refused)) {
				t.Errorf("the build says %q, want %q", r.stderr, test.refused)
			}
			scopes, _ := os.ReadDir(filepath.Join(folder, "v1")) // there may be none
			switch {
			case test.writes == "" && len(scopes) > 0:
				t.Errorf("%q was written", scopes)
			case test.writes != "" && (len(scopes) != 1 || scopes[0].Name() != test.writes):
				t.Errorf("%q was written, want %s", scopes, test.writes)
			}
		})
	}
	t.Run("a collection", func(t *testing.T) {
		m := c.newStocked(t, url, "LARDER_TLS_CA="+ours.File, "LARDER_TOKEN=token-of-main")
		if out := m.must(larder, "gc", "--dry-run").stdout; !strings.HasPrefix(out, "would remove 0 objects") || strings.Contains(out, "; 0 objects") {
			t.Error(out)
		}
	})
	t.Run("another machine", func(t *testing.T) {
		r := c.build(c.newStocked(t, url, "LARDER_TLS_CA="+ours.File, "LARDER_TOKEN=token-of-pr-7", "LARDER_SCOPE=pr-7"))
		if r.fromRemote() < int64(2*c.packages) || r.stderr != "" {
			t.Errorf("%s\n%s", r.stats, r.stderr)
		}
	})
}

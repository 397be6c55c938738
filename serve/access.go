package serve

import (
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path"
	"strings"
	"sync"
	"time"
)

// access is what somebody may do.
type access struct {
	Rights
	known bool // the server knows who it is
	pull  bool // it is a job of a pull request
}

func (a access) reads(scope string) bool { return match(a.Read, scope) || match(a.Write, scope) }

// writes reports whether whoever it is may write scope. Whatever the rules say, a pull request
// writes scopes of pull requests alone.
func (a access) writes(scope string) bool {
	return match(a.Write, scope) && (!a.pull || strings.HasPrefix(scope, pullScopes))
}

// pullScopes is how the names of scopes begin that pull requests write.
const pullScopes = "pr-"

// match reports whether a pattern matches scope. Only * matches "", which stands for all.
func match(patterns []string, scope string) bool {
	for _, p := range patterns {
		ok, _ := path.Match(p, scope) // was checked
		switch {
		case p == "*", ok && scope != "" && strings.HasPrefix(scope, "@") == strings.HasPrefix(p, "@"):
			return true
		}
	}
	return false
}

// Access says who may do what, by rules that may change.
type Access struct {
	file    string // "": rules stay
	log     *slog.Logger
	issuers []*issuer

	mu      sync.Mutex
	rules   *Rules
	read    os.FileInfo // the file as it was read
	checked time.Time   // when somebody last looked whether it has changed
}

// Always returns an Access by rules that stay. log gets why tokens are refused.
func Always(r *Rules, log *slog.Logger) *Access { return &Access{rules: r, log: log} }

// FromFile returns an Access by the rules in a file, which is read again when it changes. While it is
// malformed or missing, the rules before hold, and log says so.
func FromFile(file string, log *slog.Logger) (*Access, error) {
	a := &Access{file: file, log: log}
	return a, a.load()
}

// recheck is how often somebody looks whether a file has changed.
const recheck = time.Second

// load reads the file.
func (a *Access) load() error {
	info, err := os.Stat(a.file)
	if err != nil {
		return err
	}
	data, err := os.ReadFile(a.file)
	if err != nil {
		return err
	}
	a.read = info
	rules, err := ParseRules(data)
	if err != nil {
		return fmt.Errorf("%s: %w", a.file, err)
	}
	a.rules = rules
	return nil
}

// current returns the rules that hold now.
func (a *Access) current() *Rules {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.file == "" || time.Since(a.checked) < recheck {
		return a.rules
	}
	a.checked = time.Now()
	info, err := os.Stat(a.file)
	if err == nil && (info.Size() != a.read.Size() || !info.ModTime().Equal(a.read.ModTime())) {
		if err = a.load(); err == nil {
			a.log.Info("new rules", "file", a.file)
		}
	}
	if err != nil {
		a.log.Error("the rules stay as they were", "err", err)
	}
	return a.rules
}

// rights returns what whoever has sent r may do.
func (a *Access) rights(r *http.Request) access {
	rules := a.current()
	has := access{}
	has.add(rules.Anonymous)
	if token, ok := bearerToken(r); ok {
		sum := sha256.Sum256([]byte(token))
		for _, rule := range rules.Tokens {
			if subtle.ConstantTimeCompare(sum[:], rule.sum()) == 1 {
				has.add(rule.Rights)
				has.known = true
			}
		}
		a.addClaims(r.Context(), &has, token, rules.OIDC)
	}
	if r.TLS != nil && len(r.TLS.VerifiedChains) > 0 {
		has.known = true
		for _, rule := range rules.Certificates {
			if rule.fits(r.TLS.PeerCertificates[0]) {
				has.add(rule.Rights)
			}
		}
	}
	return has
}

// bearerToken returns the token that r has: as a bearer token or, for clients that know
// nothing else, as the password of basic authentication.
func bearerToken(r *http.Request) (string, bool) {
	if _, password, ok := r.BasicAuth(); ok {
		return password, true
	}
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	return strings.TrimSpace(token), strings.EqualFold(scheme, "Bearer")
}

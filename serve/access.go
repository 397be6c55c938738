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

	"github.com/larderbuild/larder/grpc"
)

// grant is what somebody may do.
type grant struct {
	Rights
	known   bool // the server knows who it is
	foreign bool // it is a job that others may have caused than those who may push
}

func (g grant) reads(scope string) bool { return match(g.Read, scope) || match(g.Write, scope) }

// writes reports whether whoever it is may write scope. Whatever the rules say, a foreign job
// writes scopes of such jobs alone.
func (g grant) writes(scope string) bool {
	return match(g.Write, scope) && (!g.foreign || strings.HasPrefix(scope, "pr-") || strings.HasPrefix(scope, "event-"))
}

// allow returns an error unless whoever it is may read, or write, scope. It tells no more.
func (g grant) allow(scope string, writes bool) error {
	switch {
	case writes && g.writes(scope), !writes && g.reads(scope):
		return nil
	case g.known:
		return &verdict{status: http.StatusForbidden, code: grpc.PermissionDenied, text: "not allowed"}
	}
	return &verdict{status: http.StatusUnauthorized, code: grpc.Unauthenticated, text: "want a token or a certificate that the rules know"}
}

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

// NewAccess returns an Access by rules that stay. ParseRules has returned them, or they have
// only Anonymous. log gets why tokens are refused.
func NewAccess(r *Rules, log *slog.Logger) *Access { return &Access{rules: r, log: log} }

// LoadAccess returns an Access by the rules in a file, which is read again when it changes.
// While it is malformed or missing, the rules before hold, and log says so.
func LoadAccess(file string, log *slog.Logger) (*Access, error) {
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

// Rules returns those that hold now.
func (a *Access) Rules() *Rules {
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

// rights returns what the sender of r may do.
func (a *Access) rights(r *http.Request) grant {
	rules := a.Rules()
	has := grant{}
	has.add(rules.Anonymous)
	if token, ok := bearerToken(r); ok {
		sum := sha256.Sum256([]byte(token))
		for _, rule := range rules.Tokens {
			if subtle.ConstantTimeCompare(sum[:], rule.sum) == 1 {
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

package serve

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path"
	"strings"
	"sync"
	"time"
)

// Rights are the scopes that somebody reads and writes. Each is the name of a scope of
// larder's own objects or a pattern as of path.Match, such as pr-*; @cache is what lies below
// /cache, @bazel what lies below /ac and /cas. Whoever writes a scope reads it, too.
type Rights struct {
	Read  []string `json:"read"`
	Write []string `json:"write"`
}

// Rules say who has which rights. They are a JSON object in a file.
type Rules struct {
	Anonymous    Rights            `json:"anonymous"` // of everybody
	Tokens       []TokenRule       `json:"tokens"`
	Certificates []CertificateRule `json:"certificates"`
}

// TokenRule gives rights to whoever has a bearer token.
type TokenRule struct {
	Name   string `json:"name"`   // for people
	Token  string `json:"token"`  // or, so that the file holds no secret,
	SHA256 string `json:"sha256"` // its SHA-256, in hexadecimal digits
	Rights
}

// CertificateRule gives rights to whoever has a client certificate of a name: its common name,
// or one of its DNS names, e-mail addresses or URIs. The name may be a pattern as of
// path.Match.
type CertificateRule struct {
	Name string `json:"name"`
	Rights
}

// ParseRules reads rules. Its errors say which rule is wrong, and repeat no token.
func ParseRules(data []byte) (*Rules, error) {
	lines := json.NewDecoder(bytes.NewReader(data))
	lines.DisallowUnknownFields()
	r := new(Rules)
	if err := lines.Decode(r); err != nil {
		return nil, fmt.Errorf("not an object of rules (anonymous, tokens, certificates): %w", err)
	}
	if lines.More() {
		return nil, errors.New("there is more behind the object of rules")
	}
	if err := r.Anonymous.check(); err != nil {
		return nil, fmt.Errorf("anonymous: %w", err)
	}
	for i, t := range r.Tokens {
		sum, err := hex.DecodeString(t.SHA256)
		switch {
		case (t.Token == "") == (t.SHA256 == ""):
			err = errors.New("want either token or sha256")
		case t.SHA256 != "" && (err != nil || len(sum) != sha256.Size):
			err = errors.New("sha256: want 64 hexadecimal digits")
		default:
			err = t.check()
		}
		if err != nil {
			return nil, fmt.Errorf("tokens, number %d (%q): %w", i+1, t.Name, err)
		}
	}
	for i, c := range r.Certificates {
		err := c.check()
		if c.Name == "" {
			err = errors.New("name is missing")
		} else if _, bad := path.Match(c.Name, ""); bad != nil {
			err = errors.New("name is no pattern")
		}
		if err != nil {
			return nil, fmt.Errorf("certificates, number %d (%q): %w", i+1, c.Name, err)
		}
	}
	return r, nil
}

func (r Rights) check() error {
	for _, list := range [][]string{r.Read, r.Write} {
		for _, pattern := range list {
			if _, err := path.Match(pattern, ""); err != nil || pattern == "" {
				return fmt.Errorf("%q is no scope and no pattern, such as pr-*", pattern)
			}
		}
	}
	return nil
}

// add adds the rights of another rule.
func (r *Rights) add(other Rights) {
	r.Read = append(r.Read, other.Read...)
	r.Write = append(r.Write, other.Write...)
}

// access is what somebody may do.
type access struct {
	Rights
	known bool // the server knows who it is
}

func (a access) reads(scope string) bool { return match(a.Read, scope) || match(a.Write, scope) }

func (a access) writes(scope string) bool { return match(a.Write, scope) }

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
	file string // "": rules stay
	log  *slog.Logger

	mu      sync.Mutex
	rules   *Rules
	read    os.FileInfo // the file as it was read
	checked time.Time   // when somebody last looked whether it has changed
}

// Always returns an Access by rules that stay.
func Always(r *Rules) *Access { return &Access{rules: r} }

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

// sum returns the SHA-256 of the rule's token.
func (t TokenRule) sum() []byte {
	if t.Token != "" {
		sum := sha256.Sum256([]byte(t.Token))
		return sum[:]
	}
	sum, _ := hex.DecodeString(t.SHA256) // was checked
	return sum
}

// fits reports whether the rule is about the owner of cert.
func (c CertificateRule) fits(cert *x509.Certificate) bool {
	names := append([]string{cert.Subject.CommonName}, cert.DNSNames...)
	names = append(names, cert.EmailAddresses...)
	for _, u := range cert.URIs {
		names = append(names, u.String())
	}
	for _, name := range names {
		if ok, _ := path.Match(c.Name, name); ok && name != "" {
			return true
		}
	}
	return false
}

package serve

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"path"
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
	OIDC         []OIDCRule        `json:"oidc"`
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
		return nil, fmt.Errorf("not an object of rules (anonymous, tokens, certificates, oidc): %w", err)
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
	for i := range r.OIDC {
		if err := r.OIDC[i].compile(); err != nil {
			return nil, fmt.Errorf("oidc, number %d: %w", i+1, err)
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

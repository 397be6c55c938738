package serve

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
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

	sum []byte // the SHA-256
}

// prepare checks the rule, and sets its sum.
func (t *TokenRule) prepare() error {
	var err error
	t.sum, err = hex.DecodeString(t.SHA256)
	switch {
	case (t.Token == "") == (t.SHA256 == ""):
		return errors.New("want either token or sha256")
	case t.SHA256 != "" && (err != nil || len(t.sum) != sha256.Size):
		return errors.New("sha256: want 64 hexadecimal digits")
	case strings.ContainsFunc(t.Token, func(r rune) bool { return r <= ' ' || r >= 0x7f }):
		return errors.New("token: want a text without spaces, such as openssl rand -hex 32 makes")
	case t.Token != "":
		sum := sha256.Sum256([]byte(t.Token))
		t.sum = sum[:]
	}
	return t.check()
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
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	r := new(Rules)
	err := dec.Decode(r)
	if err == nil && !bytes.HasPrefix(bytes.TrimSpace(data), []byte("{")) {
		err = errors.New("want {…}")
	}
	if err != nil {
		return nil, fmt.Errorf("not an object of rules (anonymous, tokens, certificates, oidc): %w", err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, errors.New("there is more behind the object of rules")
	}
	if err := r.Anonymous.check(); err != nil {
		return nil, fmt.Errorf("anonymous: %w", err)
	}
	for i := range r.Tokens {
		if err := r.Tokens[i].prepare(); err != nil {
			return nil, fmt.Errorf("tokens, number %d (%q): %w", i+1, r.Tokens[i].Name, err)
		}
	}
	for i, c := range r.Certificates {
		err := c.check()
		if c.Name == "" {
			err = errors.New("name is missing")
		} else if _, malformed := path.Match(c.Name, ""); malformed != nil {
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

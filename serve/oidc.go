package serve

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"

	"github.com/larderbuild/larder/backend"
)

// OIDCRule gives rights to whoever has a token of an OpenID Connect issuer with these claims:
// to the jobs of a repository, say. In the text of a claim, * stands for any text, and {name}
// for letters, digits, dots, dashes and underscores, at least one; {name} in a scope of the
// rule stands for the same. A claim that is a list fits if one of its elements does. So {"ref": "refs/pull/{n}/merge"} and the scope pr-{n} give each
// pull request its own scope.
type OIDCRule struct {
	Issuer string            `json:"issuer"` // "": any that the server knows
	Claims map[string]string `json:"claims"`
	Rights

	patterns map[string]*regexp.Regexp // of Claims
}

// placeholder matches {name}, and wildcard * as well. They are made when they are first used: the
// helper of each go command has no use for them.
var (
	placeholder = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`\{([a-z][a-z0-9_]*)\}`) })
	wildcard    = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`\*|` + placeholder().String()) })
)

// compile checks the rule, and makes its patterns.
func (o *OIDCRule) compile() error {
	if len(o.Claims) == 0 {
		return errors.New("claims are missing: they say whose token it has to be")
	}
	o.patterns = make(map[string]*regexp.Regexp)
	names := make(map[string]bool)
	for claim, text := range o.Claims {
		expr, at := "(?s)^", 0
		for _, m := range wildcard().FindAllStringSubmatchIndex(text, -1) {
			expr += regexp.QuoteMeta(text[at:m[0]])
			if at = m[1]; m[2] < 0 {
				expr += ".*"
				continue
			}
			name := text[m[2]:m[3]]
			if names[name] {
				return fmt.Errorf("{%s} stands twice in claims", name)
			}
			names[name] = true
			expr += "(?P<" + name + ">[A-Za-z0-9._-]+)"
		}
		o.patterns[claim] = regexp.MustCompile(expr + regexp.QuoteMeta(text[at:]) + "$") // of parts that are quoted
	}
	for _, list := range [][]string{o.Read, o.Write} {
		for _, scope := range list {
			if strings.ContainsAny(scope, "[]\\") && placeholder().MatchString(scope) {
				return fmt.Errorf("scope %q: what a claim says can't stand beside brackets", scope)
			}
			for _, m := range placeholder().FindAllStringSubmatch(scope, -1) {
				if !names[m[1]] {
					return fmt.Errorf("scope %q: no claim has {%s}", scope, m[1])
				}
			}
		}
	}
	return o.check()
}

// rights returns those that the rule gives to whoever has the claims of a token.
func (o *OIDCRule) rights(claims map[string]any) (r Rights, ok bool) {
	values := make(map[string]string)
	for claim, pattern := range o.patterns {
		m := matchClaim(pattern, claims[claim])
		if m == nil {
			return Rights{}, false
		}
		for i, name := range pattern.SubexpNames() {
			if name != "" {
				values["{"+name+"}"] = m[i]
			}
		}
	}
	fill := func(scopes []string) (filled []string) {
		for _, scope := range scopes {
			filled = append(filled, placeholder().ReplaceAllStringFunc(scope, func(name string) string { return values[name] }))
		}
		return filled
	}
	return Rights{fill(o.Read), fill(o.Write)}, true
}

// matchClaim returns the match of a pattern with a claim, or with one of those in a list. It
// returns nil if there is none.
func matchClaim(pattern *regexp.Regexp, claim any) []string {
	switch v := claim.(type) {
	case string:
		if v != "" {
			return pattern.FindStringSubmatch(v)
		}
	case bool, json.Number:
		return pattern.FindStringSubmatch(fmt.Sprint(v))
	case []any:
		for _, element := range v {
			if _, isList := element.([]any); isList {
				continue
			}
			if m := matchClaim(pattern, element); m != nil {
				return m
			}
		}
	}
	return nil
}

// issuer is an issuer of tokens that the server believes.
type issuer struct {
	url, audience string

	mu       sync.Mutex
	verifier *oidc.IDTokenVerifier // nil: not found yet
	failed   time.Time             // when it could not be found
	err      error                 // why
}

// AddIssuer has a accept tokens that an issuer has made for audience. It uses the network when
// the first token comes. The caller calls it before the first request.
func (a *Access) AddIssuer(url, audience string) {
	a.issuers = append(a.issuers, &issuer{url: url, audience: audience})
}

const (
	discoveryTime  = 10 * time.Second // for an answer of an issuer
	discoveryPause = 10 * time.Second // until an issuer is asked again that could not be found
)

// find returns what checks tokens of the issuer.
func (i *issuer) find() (*oidc.IDTokenVerifier, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.verifier != nil || time.Since(i.failed) < discoveryPause {
		return i.verifier, i.err
	}
	tlsConfig, err := backend.TLSConfig()
	if err != nil {
		return nil, err
	}
	transport := backend.NewTransport()
	transport.TLSClientConfig = tlsConfig
	// It outlives the request: the keys of the issuer are asked for again when they change.
	ctx := oidc.ClientContext(context.Background(), &http.Client{Transport: transport, Timeout: discoveryTime})
	provider, err := oidc.NewProvider(ctx, i.url)
	if err != nil {
		i.failed, i.err = time.Now(), fmt.Errorf("find the issuer %s: %w", i.url, err)
		return nil, i.err
	}
	i.verifier, i.err = provider.VerifierContext(ctx, &oidc.Config{ClientID: i.audience}), nil
	return i.verifier, nil
}

// addClaims adds to has what rules give to the owner of token, if an issuer has made it.
func (a *Access) addClaims(ctx context.Context, has *grant, token string, rules []OIDCRule) {
	name := issuerOf(token)
	for _, i := range a.issuers {
		if name != i.url {
			continue
		}
		claims, err := i.verify(ctx, token)
		if err != nil {
			a.log.Info("a token is refused", "issuer", i.url, "err", err)
			return
		}
		has.known = true
		has.foreign = has.foreign || isForeign(claims)
		for _, rule := range rules {
			if rule.Issuer != "" && rule.Issuer != i.url {
				continue
			}
			if r, ok := rule.rights(claims); ok {
				has.add(r)
			}
		}
	}
}

// verify returns the claims of token, if the issuer has signed it for the server, and it has
// not expired.
func (i *issuer) verify(ctx context.Context, token string) (claims map[string]any, err error) {
	verifier, err := i.find()
	if err != nil {
		return nil, err
	}
	verified, err := verifier.Verify(ctx, token)
	if err != nil {
		return nil, err
	}
	var payload json.RawMessage
	if err := verified.Claims(&payload); err != nil {
		return nil, err
	}
	dec := json.NewDecoder(bytes.NewReader(payload))
	dec.UseNumber() // as the issuer writes it
	return claims, dec.Decode(&claims)
}

// issuerOf returns who has made token as it says itself, or "" if it is no JSON Web Token.
func issuerOf(token string) string {
	var claims struct {
		Issuer string `json:"iss"`
	}
	if !backend.UnverifiedClaims(token, &claims) {
		return ""
	}
	return claims.Issuer
}

// isForeign reports whether claims are of a job on GitHub or GitLab that others may have caused
// than those who may push: one of a pull request, or one that a comment has started, say.
func isForeign(claims map[string]any) bool {
	text := func(claim string) string {
		s, _ := claims[claim].(string)
		return s
	}
	isRef := func(claim, begin string) bool { return strings.HasPrefix(text(claim), begin) }
	event, isGitHub := claims["event_name"]
	switch claims["pipeline_source"] { // GitLab's
	case "merge_request_event", "external_pull_request_event":
		return true
	case "parent_pipeline", "pipeline": // of which the parent may be one of those
		if fmt.Sprint(claims["ref_protected"]) != "true" {
			return true
		}
	}
	return isRef("ref", "refs/pull/") || isRef("ref", "refs/merge-requests/") || isRef("ref_path", "refs/merge-requests/") ||
		isGitHub && !slices.Contains([]any{"push", "schedule", "workflow_dispatch", "repository_dispatch", "release"}, event)
}

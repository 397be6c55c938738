package gcs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"cloud.google.com/go/compute/metadata"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/google"
	"golang.org/x/sync/singleflight"

	"github.com/larderbuild/larder/backend"
)

const (
	// scope is what larder asks to be allowed.
	scope = "https://www.googleapis.com/auth/devstorage.read_write"

	// anyScope is what it takes to act as another account.
	anyScope = "https://www.googleapis.com/auth/cloud-platform"

	// tokenTimeout is how long a request for a token may take.
	tokenTimeout = 30 * time.Second
)

// authorized adds credentials to requests. It looks for them at the first request, because it
// may have to ask the network whether this machine is one of Google's. All requests wait for
// one search, and for one token. None waits for longer than its context allows: the search
// goes on for those that come later.
type authorized struct {
	base http.RoundTripper

	fetches singleflight.Group

	// Only one fetch at a time uses what follows.
	once    sync.Once
	servers tokenServers
	tokens  oauth2.TokenSource
	payer   string // project that pays, or ""
	err     error
}

func (a *authorized) RoundTrip(req *http.Request) (*http.Response, error) {
	fetched := a.fetches.DoChan("", func() (any, error) { return a.fetch() })
	select {
	case result := <-fetched:
		if result.Err != nil {
			closeBody(req)
			return nil, result.Err
		}
		req = req.Clone(req.Context())
		result.Val.(*bearer).sign(req)
		return a.base.RoundTrip(req)
	case <-req.Context().Done():
		closeBody(req)
		return nil, context.Cause(req.Context())
	}
}

// bearer is what a request shows.
type bearer struct {
	token *oauth2.Token
	payer string
}

func (b *bearer) sign(req *http.Request) {
	b.token.SetAuthHeader(req)
	if b.payer != "" {
		req.Header.Set("X-Goog-User-Project", b.payer)
	}
}

// fetch returns what requests show from now on. The library keeps a token until it ends.
func (a *authorized) fetch() (*bearer, error) {
	if a.once.Do(a.search); a.err != nil {
		return nil, fmt.Errorf("%w: no Google credentials: %w", backend.ErrDenied, brief(a.err))
	}
	a.servers.forget()
	token, err := a.tokens.Token()
	switch {
	case err == nil:
		return &bearer{token, a.payer}, nil
	case a.servers.mayPass() || machineMayPass(err):
		return nil, fmt.Errorf("no Google token: %w", brief(err))
	}
	return nil, fmt.Errorf("%w: no Google token: %w", backend.ErrDenied, brief(err))
}

// search looks for credentials.
func (a *authorized) search() {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	backend.LimitConnecting(transport)
	transport.DisableKeepAlives = true // there is a request an hour
	a.servers.next = transport
	client := &http.Client{Transport: &a.servers, Timeout: tokenTimeout}
	ctx := context.WithValue(context.Background(), oauth2.HTTPClient, client)
	found, err := google.FindDefaultCredentials(ctx, scope)
	if err != nil {
		a.err = err
		return
	}
	a.tokens, a.payer = found.TokenSource, os.Getenv("GOOGLE_CLOUD_QUOTA_PROJECT")
	if found.JSON != nil { // this is not a machine's own account
		a.err = a.take(ctx, found)
	}
}

// take has the credentials from a file serve larder.
func (a *authorized) take(ctx context.Context, found *google.Credentials) error {
	var file struct {
		Type         google.CredentialsType
		QuotaProject string `json:"quota_project_id"`
	}
	if err := json.Unmarshal(found.JSON, &file); err != nil {
		return err
	}
	if a.payer == "" {
		a.payer = file.QuotaProject
	}
	domain, err := found.GetUniverseDomain()
	switch {
	case err != nil:
		return err
	case file.Type == "":
		return errors.New("the file has credentials of no type: it may be an application's, and not an account's")
	case domain != universe(): // which should not see its tokens
		return fmt.Errorf("they are for %s, and the server is of %s: set GOOGLE_CLOUD_UNIVERSE_DOMAIN", domain, universe())
	case file.Type == google.ServiceAccount && domain != googleapis: // elsewhere nobody exchanges a key for a token
		a.tokens, err = google.JWTAccessTokenSourceWithScope(found.JSON, scope)
	case file.Type == google.ImpersonatedServiceAccount:
		found, err = google.CredentialsFromJSONWithType(ctx, found.JSON, file.Type, anyScope)
		if err == nil {
			a.tokens = found.TokenSource
		}
	}
	return err
}

// tokenServers sends requests to the servers that give out tokens. It notes how the last one
// ended, because the library's errors do not say whether they may pass.
type tokenServers struct {
	next           http.RoundTripper
	asked, refused bool
}

func (s *tokenServers) forget() { s.asked, s.refused = false, false }

// mayPass reports whether there is no token because of the network or a server. Otherwise a
// server has refused, or none was asked: the credentials are at fault.
func (s *tokenServers) mayPass() bool { return s.asked && !s.refused }

func (s *tokenServers) RoundTrip(req *http.Request) (*http.Response, error) {
	s.asked, s.refused = true, false
	res, err := s.next.RoundTrip(req)
	if err == nil && res.StatusCode < 500 {
		switch res.StatusCode {
		case http.StatusRequestTimeout, http.StatusTooManyRequests:
		default:
			s.refused = res.StatusCode >= 400
		}
	}
	return res, err
}

// machineMayPass reports whether err is of the machine's own server of tokens, which the
// library asks by another way, and may pass.
func machineMayPass(err error) bool {
	var answer *metadata.Error
	if errors.As(err, &answer) {
		return answer.Code >= 500
	}
	var sent *url.Error
	return errors.As(err, &sent)
}

// maxReason is how many bytes of an error the text of brief's has.
const maxReason = 300

// brief returns err, which Google's library returned, with the first line of its text: the
// whole of it may hold a server's answer, such as a page of HTML.
func brief(err error) error {
	text, _, _ := strings.Cut(err.Error(), "\n")
	if len(text) > maxReason {
		text = strings.ToValidUTF8(text[:maxReason], "") + "…"
	}
	return backend.Brief(text, err)
}

// closeBody closes the body of req, as an http.RoundTripper must before it returns
// an error.
func closeBody(req *http.Request) {
	if req.Body != nil {
		req.Body.Close()
	}
}

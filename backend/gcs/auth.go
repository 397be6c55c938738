package gcs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"

	"cloud.google.com/go/auth"
	"cloud.google.com/go/auth/credentials"
	"cloud.google.com/go/compute/metadata"
	"golang.org/x/sync/singleflight"

	"github.com/larderbuild/larder/backend"
)

// scope is what larder asks to be allowed.
const scope = "https://www.googleapis.com/auth/devstorage.read_write"

// authorized adds credentials to requests. It looks for them at the first request, because it
// may have to ask the network whether this machine is one of Google's. All requests wait for
// one search, and for one token. None waits for longer than its context allows: the search
// goes on for those that come later.
type authorized struct {
	base http.RoundTripper

	fetches singleflight.Group

	once  sync.Once
	found *auth.Credentials
	payer string // project that pays, or ""
	err   error
}

func (a *authorized) RoundTrip(req *http.Request) (*http.Response, error) {
	fetched := a.fetches.DoChan("", func() (any, error) { return a.token() })
	select {
	case result := <-fetched:
		if result.Err != nil {
			closeBody(req)
			return nil, result.Err
		}
		return a.base.RoundTrip(a.signed(req, result.Val.(*auth.Token)))
	case <-req.Context().Done():
		closeBody(req)
		return nil, context.Cause(req.Context())
	}
}

// signed returns req with token.
func (a *authorized) signed(req *http.Request, token *auth.Token) *http.Request {
	req = req.Clone(req.Context())
	req.Header.Set("Authorization", cmp.Or(token.Type, "Bearer")+" "+token.Value)
	if a.payer != "" {
		req.Header.Set("X-Goog-User-Project", a.payer)
	}
	return req
}

// token returns a token that is valid. The library keeps it, and asks for another one ahead of
// its end. No request to the network takes longer than half a minute.
func (a *authorized) token() (*auth.Token, error) {
	if a.once.Do(a.search); a.err != nil {
		return nil, fmt.Errorf("%w: no Google credentials: %w", backend.ErrDenied, brief(a.err))
	}
	token, err := a.found.Token(context.Background())
	switch {
	case err == nil:
		return token, nil
	case mayPass(err):
		return nil, fmt.Errorf("no Google token: %w", brief(err))
	}
	return nil, fmt.Errorf("%w: no Google token: %w", backend.ErrDenied, brief(err))
}

// search sets found and payer, or err.
func (a *authorized) search() {
	a.found, a.err = credentials.DetectDefault(&credentials.DetectOptions{
		Scopes: []string{scope},
		Logger: silent(),
	})
	if a.err == nil {
		a.err = checkUniverse(a.found)
	}
	if a.err == nil {
		a.payer, a.err = a.found.QuotaProjectID(context.Background())
	}
}

// checkUniverse returns an error if found is for another cloud than the server's, which should
// not see its tokens. A machine's own credentials are for the cloud that it stands in.
func checkUniverse(found *auth.Credentials) error {
	if len(found.JSON()) == 0 {
		return nil
	}
	domain, err := found.UniverseDomain(context.Background())
	if err == nil && domain != universe() {
		err = fmt.Errorf("they are for %s, and the server is of %s: set GOOGLE_CLOUD_UNIVERSE_DOMAIN", domain, universe())
	}
	return err
}

// silent returns the logger of Google's library. Its own writes to stderr, tokens too, if
// GOOGLE_SDK_GO_LOGGING_LEVEL is set for the build's tests.
func silent() *slog.Logger { return slog.New(slog.DiscardHandler) }

// mayPass reports whether err, because of which there is no token, may pass: the network or a
// server is at fault. Otherwise the credentials are.
func mayPass(err error) bool {
	var (
		answer  *auth.Error
		machine *metadata.Error
		sent    *url.Error
	)
	switch {
	case errors.As(err, &answer):
		return answer.Temporary()
	case errors.As(err, &machine):
		return machine.Code >= 500
	case errors.As(err, &sent), errors.Is(err, context.DeadlineExceeded):
		return true
	}
	// The library has no type for what the servers of workload identities answer.
	return strings.Contains(err.Error(), "status code 5") || strings.Contains(err.Error(), "status code 429")
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

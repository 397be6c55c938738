package azblob

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"golang.org/x/sync/singleflight"

	"github.com/larderbuild/larder/backend"
)

const (
	// audience is whom tokens are meant for: any storage account.
	audience = "https://storage.azure.com"

	// loginPatience is how long it may take to get a token. The az command alone, which is
	// one of the sources, needs seconds on a busy machine.
	loginPatience = 30 * time.Second

	// freshness is how long a token must be good for at least, so that it still is when
	// the request arrives.
	freshness = 2 * time.Minute
)

// login gives requests tokens of Microsoft Entra, which azidentity's default chain finds.
// The first request begins the search, because it uses the network and other programs.
// Unlike the chain itself, login lets each request give up waiting when its context ends,
// keeps a token that comes from a program, and never searches again once it was refused.
type login struct {
	chain  azcore.TokenCredential
	unsent *atomic.Bool // see loginTransport
	unused string       // see settings

	search  singleflight.Group
	mu      sync.Mutex
	token   azcore.AccessToken
	refused error
}

// newLogin returns a login whose requests go through rt. It uses no network.
func newLogin(rt http.RoundTripper, unused string) (*login, error) {
	unsent := new(atomic.Bool)
	chain, err := azidentity.NewDefaultAzureCredential(&azidentity.DefaultAzureCredentialOptions{
		ClientOptions: clientOptions(loginTransport{rt, unsent}),
		// Otherwise Microsoft is asked whether it knows the host in AZURE_AUTHORITY_HOST,
		// and a private cloud may not reach it.
		DisableInstanceDiscovery: true,
	})
	if err != nil {
		return nil, err
	}
	return &login{chain: chain, unsent: unsent, unused: unused}, nil
}

// Do waits for a token. The SDK asks for one afterwards, and would wait for a search that
// another request has begun, whatever the context says.
func (l *login) Do(req *policy.Request) (*http.Response, error) {
	_, err := l.GetToken(req.Raw().Context(), policy.TokenRequestOptions{Scopes: []string{audience + "/.default"}})
	if err != nil {
		return nil, err
	}
	return req.Next()
}

// GetToken does what azcore.TokenCredential says.
func (l *login) GetToken(ctx context.Context, options policy.TokenRequestOptions) (azcore.AccessToken, error) {
	if token, err := l.known(options); err != nil || token.Token != "" {
		return token, err
	}
	found := l.search.DoChan(options.Claims, func() (any, error) { return l.find(options) })
	select {
	case result := <-found:
		if result.Err != nil {
			return azcore.AccessToken{}, result.Err
		}
		return result.Val.(azcore.AccessToken), nil
	case <-ctx.Done():
		return azcore.AccessToken{}, context.Cause(ctx)
	}
}

// known returns what an earlier search has found, if that still counts. A server that does
// not accept a token says in claims what another one must have.
func (l *login) known(options policy.TokenRequestOptions) (azcore.AccessToken, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.refused != nil {
		return azcore.AccessToken{}, l.refused
	}
	if options.Claims != "" || time.Until(l.token.ExpiresOn) < freshness {
		return azcore.AccessToken{}, nil
	}
	return l.token, nil
}

// find asks the chain. No request's end ends it, because others wait for it as well.
func (l *login) find(options policy.TokenRequestOptions) (azcore.AccessToken, error) {
	ctx, cancel := context.WithTimeout(context.Background(), loginPatience)
	defer cancel()
	l.unsent.Store(false)
	token, err := l.chain.GetToken(ctx, options)
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case err == nil:
		l.token = token
	case ctx.Err() != nil || l.unsent.Load() || isOverloaded(err):
		err = fmt.Errorf("login to Azure: %s", loginText(err))
	default:
		l.refused = noCredentials{l.unused, err}
		err = l.refused
	}
	return token, err
}

// isOverloaded reports whether err, from the chain, is an answer that may be another one
// the next time.
func isOverloaded(err error) bool {
	var failed *azidentity.AuthenticationFailedError
	if !errors.As(err, &failed) || failed.RawResponse == nil {
		return false
	}
	code := failed.RawResponse.StatusCode
	return code == http.StatusTooManyRequests || code >= http.StatusInternalServerError
}

// noCredentials says why there are none. It wraps ErrDenied.
type noCredentials struct {
	unused string // see settings
	err    error
}

func (e noCredentials) Error() string {
	return "no Azure credentials: no key, no SAS token" + e.unused + ", and no login: " + loginText(e.err)
}
func (e noCredentials) Unwrap() []error { return []error{backend.ErrDenied, e.err} }

// loginText returns the text of an error of the chain's in one line: what a server has
// answered, otherwise why each source in turn has no token.
func loginText(err error) string {
	var failed *azidentity.AuthenticationFailedError
	if errors.As(err, &failed) && failed.RawResponse != nil {
		return answerText(failed.RawResponse)
	}
	text := err.Error()
	if _, list, found := strings.Cut(text, "Attempted credentials:"); found {
		text = list
	}
	text, _, _ = strings.Cut(text, " To troubleshoot, visit ")
	var sources []string
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			sources = append(sources, line)
		}
	}
	return strings.Join(sources, "; ")
}

// answerText returns in one line what a server that gives out tokens has answered.
func answerText(res *http.Response) string {
	var said struct {
		Code    string `json:"error"`
		Message string `json:"error_description"`
	}
	body, err := runtime.Payload(res) // which the chain has read
	if err == nil {
		_ = json.Unmarshal(body, &said) // a page of HTML says nothing
	}
	text := fmt.Sprintf("%d %s", res.StatusCode, cmp.Or(said.Code, http.StatusText(res.StatusCode)))
	if line, _, _ := strings.Cut(said.Message, "\n"); line != "" {
		text += ": " + strings.TrimSpace(line)
	}
	if res.Request != nil {
		text = res.Request.URL.Host + " says " + text
	}
	return text
}

// loginTransport sends the requests of the chain.
type loginTransport struct {
	next   http.RoundTripper
	unsent *atomic.Bool // a request was not answered, other than one to the metadata service
}

var errNotAzure = errors.New("what answers at " + metadataHost + " is not Azure's metadata service")

// RoundTrip does what http.RoundTripper says. The chain first asks the metadata service in a
// way to which Azure's answers that a header is missing, and believes in any answer. But
// other clouds and proxies answer there as well, and the chain would end with them.
func (l loginTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	res, err := l.next.RoundTrip(req)
	metadata := req.URL.Hostname() == metadataHost
	switch {
	case err != nil && !metadata:
		l.unsent.Store(true)
	case err == nil && metadata && req.Header.Get("Metadata") == "" && res.StatusCode != http.StatusBadRequest:
		res.Body.Close()
		return nil, errNotAzure
	}
	return res, err
}

const (
	// metadataHost is the address of the service that gives a machine of Azure's its
	// credentials. On other machines mostly nobody answers there.
	metadataHost = "169.254.169.254"

	// metadataConnect is many times what it takes to reach the service, which runs on the
	// same host.
	metadataConnect = 100 * time.Millisecond
)

// besideMetadata has t give up the metadata service soon, and ask it without a proxy,
// because its address is the host's own.
func besideMetadata(t *http.Transport) {
	dial, proxy := t.DialContext, t.Proxy
	t.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		if host, _, _ := net.SplitHostPort(address); host == metadataHost {
			return (&net.Dialer{Timeout: metadataConnect}).DialContext(ctx, network, address)
		}
		return dial(ctx, network, address)
	}
	t.Proxy = func(req *http.Request) (*url.URL, error) {
		if req.URL.Hostname() == metadataHost {
			return nil, nil
		}
		return proxy(req)
	}
}

package testserver

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
)

// ActionsServer is the cache service of GitHub Actions, of one repository. It keeps
// GitHub's rules: who reads and writes which branch's entries, that no entry ever changes,
// and when it refuses or removes some. Behind its signed URLs is Azurite, which checks
// their signatures. Its methods may be called at any time.
type ActionsServer struct {
	// Endpoint is http://host:port. Who reaches the service at another address, such as that
	// of a [Proxy], gets signed URLs that begin with that one.
	Endpoint string

	blobs  AzureServer
	bucket *container.Client
	front  http.Handler // passes requests for blobs on
	actionsCache
}

// ActionsRules are what GitHub allows.
type ActionsRules struct {
	Creations int           // of entries, in the time of a window
	Window    time.Duration // usually a minute
	Quota     int64         // of all entries, in bytes
	Unread    time.Duration // after which an entry goes that nobody has read
	Lifetime  time.Duration // of a signed URL
}

// Actions starts a cache service with GitHub's own rules.
func Actions(t testing.TB) *ActionsServer {
	t.Helper()
	const bucket = "actions-cache"
	s := &ActionsServer{
		// GitHub's own client speaks a later version of Azure's protocol than Azurite knows.
		blobs: startAzure(t, AzureServer{Endpoint: "http://"}, "--skipApiVersionCheck"),
		actionsCache: actionsCache{
			rules:  ActionsRules{Creations: 200, Window: time.Minute, Quota: 10 << 30, Unread: 7 * 24 * time.Hour, Lifetime: 10 * time.Minute},
			signed: make(map[string]bool),
		},
	}
	s.blobs.Container(t, bucket)
	var err error
	if s.bucket, err = s.blobs.client(bucket); err != nil {
		t.Fatal(err)
	}
	behind, err := url.Parse(s.blobs.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	front := httputil.NewSingleHostReverseProxy(behind)
	front.Transport = &http.Transport{DisableKeepAlives: true} // or goroutines would outlive the requests
	front.ErrorLog = log.New(io.Discard, "", 0)                // tests break connections
	s.front = front
	mux := http.NewServeMux()
	mux.HandleFunc("POST /twirp/github.actions.results.api.v1.CacheService/{method}", s.serveCall)
	mux.HandleFunc("/"+s.blobs.Account+"/", s.serveBlob)
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	s.Endpoint = server.URL
	return s
}

// What a token lets its job do with a branch's entries.
const (
	actionsRead  = 1
	actionsWrite = 2
)

// actionsScope is a branch, or another ref, with the right to it.
type actionsScope struct {
	Scope      string
	Permission int
}

// Token returns the token of a job of ref, such as refs/heads/main or refs/pull/1/merge. It
// writes the entries of ref. It reads them, and after them those of the refs in reads.
func (s *ActionsServer) Token(ref string, reads ...string) string {
	scopes := []actionsScope{{ref, actionsRead | actionsWrite}}
	for _, r := range reads {
		scopes = append(scopes, actionsScope{r, actionsRead})
	}
	return newActionsToken(scopes)
}

// ReadOnlyToken returns the token of a job that reads the entries of refs, and writes none.
func (s *ActionsServer) ReadOnlyToken(refs ...string) string {
	var scopes []actionsScope
	for _, r := range refs {
		scopes = append(scopes, actionsScope{r, actionsRead})
	}
	return newActionsToken(scopes)
}

// newActionsToken returns a token as GitHub makes them, but for the signature.
func newActionsToken(scopes []actionsScope) string {
	access, _ := json.Marshal(scopes)
	claims, _ := json.Marshal(map[string]string{"ac": string(access)})
	part := base64.RawURLEncoding.EncodeToString
	return part([]byte(`{"alg":"none"}`)) + "." + part(claims) + "." + part([]byte("signature"))
}

// parseActionsToken returns the scopes of the token that a request has.
func parseActionsToken(r *http.Request) (scopes []actionsScope, err error) {
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	parts := strings.Split(token, ".")
	if !ok || len(parts) != 3 {
		return nil, fmt.Errorf("no token")
	}
	claims, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return nil, err
	}
	var said struct{ AC string }
	if err := json.Unmarshal(claims, &said); err != nil {
		return nil, err
	}
	return scopes, json.Unmarshal([]byte(said.AC), &scopes)
}

// Environ returns the variables that GitHub sets for an action of a job with token.
func (s *ActionsServer) Environ(token string) []string { return ActionsEnviron(s.Endpoint, token) }

// ActionsEnviron is [ActionsServer.Environ] for a job that reaches the service at endpoint.
func ActionsEnviron(endpoint, token string) []string {
	return []string{
		"ACTIONS_CACHE_SERVICE_V2=True",
		"ACTIONS_RESULTS_URL=" + endpoint + "/",
		"ACTIONS_RUNTIME_TOKEN=" + token,
	}
}

// Setenv sets the variables of [ActionsServer.Environ] for the rest of the test.
func (s *ActionsServer) Setenv(t testing.TB, token string) {
	t.Helper()
	for _, pair := range s.Environ(token) {
		name, value, _ := strings.Cut(pair, "=")
		t.Setenv(name, value)
	}
}

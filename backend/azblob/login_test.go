package azblob_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/backend/azblob"
	"github.com/larderbuild/larder/backend/backendtest"
	"github.com/larderbuild/larder/testserver"
)

// TestMain makes this program stand for the az command, if it is called so.
func TestMain(m *testing.M) {
	if strings.TrimSuffix(filepath.Base(os.Args[0]), ".exe") == "az" {
		fmt.Printf(`{"accessToken": %q, "expires_on": %d}`, token(time.Hour), time.Now().Add(time.Hour).Unix())
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// token returns a token that Azurite accepts, as Microsoft Entra would give it.
func token(good time.Duration) string {
	now := time.Now()
	claims, err := json.Marshal(map[string]any{
		"aud": "https://storage.azure.com", "iss": "https://sts.windows.net/tenant/",
		"iat": now.Unix(), "nbf": now.Add(-time.Minute).Unix(), "exp": now.Add(good).Unix(),
	})
	if err != nil {
		panic(err)
	}
	encode := base64.RawURLEncoding.EncodeToString
	return encode([]byte(`{"alg":"RS256","typ":"JWT"}`)) + "." + encode(claims) + "." + encode([]byte("unchecked"))
}

// authority is a server that gives out tokens, as Microsoft Entra does.
type authority struct {
	*httptest.Server
	asked atomic.Int64 // for tokens
	mu    sync.Mutex
	visit func(http.ResponseWriter, *http.Request) bool // what it does instead, if it returns true
}

// newAuthority starts an authority. The environment says that it is in charge.
func newAuthority(t *testing.T) *authority {
	a := new(authority)
	a.Server = httptest.NewTLSServer(a)
	t.Cleanup(func() {
		a.CloseClientConnections()
		a.Close()
	})
	t.Setenv("AZURE_AUTHORITY_HOST", a.URL)
	return a
}

// instead has a do something else from now on. A nil visit ends that.
func (a *authority) instead(visit func(http.ResponseWriter, *http.Request) bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.visit = visit
}

func (a *authority) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	visit := a.visit
	a.mu.Unlock()
	if visit != nil && visit(w, r) {
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if strings.HasSuffix(r.URL.Path, "/openid-configuration") {
		fmt.Fprintf(w, `{"token_endpoint": "%[1]s/tenant/token", "authorization_endpoint": "%[1]s/tenant/authorize", "issuer": "%[1]s/tenant"}`, a.URL)
		return
	}
	a.asked.Add(1)
	if r.FormValue("client_secret") != "right" && r.FormValue("client_assertion") != "federated" {
		w.WriteHeader(http.StatusUnauthorized)
		fmt.Fprint(w, `{"error": "invalid_client", "error_description": "AADSTS7000215: Invalid client secret provided.\r\nTrace ID: 1"}`)
		return
	}
	fmt.Fprintf(w, `{"token_type": "Bearer", "expires_in": 3600, "access_token": %q}`, token(time.Hour))
}

// principal sets the variables of a service principal.
func principal(t *testing.T, secret string) {
	t.Setenv("AZURE_TENANT_ID", "tenant")
	t.Setenv("AZURE_CLIENT_ID", "client")
	t.Setenv("AZURE_CLIENT_SECRET", secret)
}

// installAz has the machine find an az command, on which somebody is logged in.
func installAz(t *testing.T) {
	az := filepath.Join(t.TempDir(), "az")
	if runtime.GOOS == "windows" {
		az += ".exe"
	}
	self, err := os.Executable()
	if err == nil {
		err = os.Symlink(self, az)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", filepath.Dir(az)+string(filepath.ListSeparator)+os.Getenv("PATH"))
}

// azureWithLogin starts a server with a container. The driver trusts it and authorities.
func azureWithLogin(t *testing.T) testserver.AzureServer {
	server := testserver.AzureWithLogin(t)
	server.Container(t, "container")
	transport := http.DefaultTransport.(*http.Transport)
	was := transport.TLSClientConfig
	t.Cleanup(func() { transport.TLSClientConfig = was })
	transport.TLSClientConfig = &tls.Config{RootCAs: x509.NewCertPool()}
	transport.TLSClientConfig.RootCAs.AddCert(server.Certificate)
	return server
}

// TestLogin: each source of tokens that a test can have. Many requests at once ask it once.
func TestLogin(t *testing.T) {
	server := azureWithLogin(t)
	for name, prepare := range map[string]func(*testing.T) (asked func() int64){
		"service principal": func(t *testing.T) func() int64 {
			principal(t, "right")
			return newAuthority(t).asked.Load
		},
		"workload identity": func(t *testing.T) func() int64 {
			file := filepath.Join(t.TempDir(), "token")
			if err := os.WriteFile(file, []byte("federated"), 0o600); err != nil {
				t.Fatal(err)
			}
			t.Setenv("AZURE_TENANT_ID", "tenant")
			t.Setenv("AZURE_CLIENT_ID", "client")
			t.Setenv("AZURE_FEDERATED_TOKEN_FILE", file)
			return newAuthority(t).asked.Load
		},
		"managed identity": func(t *testing.T) func() int64 {
			var asked atomic.Int64
			identity := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				asked.Add(1)
				if r.Header.Get("X-Identity-Header") != "secret" {
					w.WriteHeader(http.StatusUnauthorized)
				}
				fmt.Fprintf(w, `{"token_type": "Bearer", "expires_on": "%d", "resource": "x", "access_token": %q}`, time.Now().Add(time.Hour).Unix(), token(time.Hour))
			}))
			t.Cleanup(identity.Close)
			t.Setenv("IDENTITY_ENDPOINT", identity.URL)
			t.Setenv("IDENTITY_HEADER", "secret")
			return asked.Load
		},
		"az": func(t *testing.T) func() int64 {
			installAz(t)
			t.Setenv("AZURE_TOKEN_CREDENTIALS", "dev") // not what the machine may have
			return func() int64 { return 1 }
		},
	} {
		t.Run(name, func(t *testing.T) {
			asked := prepare(t)
			s := openURL(t, server.URL("container", name))
			var users sync.WaitGroup
			for user := range 16 {
				users.Go(func() {
					data := fmt.Append(nil, user)
					if _, err := s.Put(t.Context(), fmt.Sprint(user), strings.NewReader(string(data)), backend.OptionsOf(data)); err != nil {
						t.Error(err)
					}
				})
			}
			users.Wait()
			if n := asked(); n != 1 {
				t.Errorf("%d requests for a token, want 1", n)
			}
		})
	}
}

// TestLoginRefused: wrong credentials are denied. The authority is not asked again.
func TestLoginRefused(t *testing.T) {
	server := azureWithLogin(t)
	a := newAuthority(t)
	principal(t, "hunter2")
	s := openURL(t, server.URL("container", ""))
	backendtest.WantDenied(t, s)
	_, _, err := s.Get(t.Context(), "key", backend.Range{})
	want := fmt.Sprintf("get key: no Azure credentials: no key, no SAS token, and no login: %s says 401 invalid_client: AADSTS7000215: Invalid client secret provided.", a.Listener.Addr())
	if err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
	if n := a.asked.Load(); n != 1 {
		t.Errorf("%d requests for a token, want 1", n)
	}
}

// TestNoCredentials: who has none is denied, and learns where they were looked for.
func TestNoCredentials(t *testing.T) {
	t.Setenv("AZURE_TOKEN_CREDENTIALS", "EnvironmentCredential") // not what the machine may have
	s, err := azblob.Open(t.Context(), azblob.Config{Account: "account", Container: "container", Endpoint: "https://127.0.0.1:1"})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	backendtest.WantDenied(t, s)
	_, _, err = s.Get(t.Context(), "key", backend.Range{})
	if err == nil || !strings.HasPrefix(err.Error(), "get key: no Azure credentials: no key, no SAS token, and no login: EnvironmentCredential: missing environment variable") {
		t.Error(err)
	}
}

// TestLoginStumbles: an authority that can't be reached, or is overloaded, is a fault. Later
// requests ask it again.
func TestLoginStumbles(t *testing.T) {
	server := azureWithLogin(t)
	for name, visit := range map[string]func(http.ResponseWriter, *http.Request) bool{
		"reset":      func(http.ResponseWriter, *http.Request) bool { panic(http.ErrAbortHandler) },
		"overloaded": func(w http.ResponseWriter, _ *http.Request) bool { w.WriteHeader(503); return true },
	} {
		t.Run(name, func(t *testing.T) {
			a := newAuthority(t)
			principal(t, "right")
			s := openURL(t, server.URL("container", ""))
			a.instead(visit)
			if _, _, err := s.Get(t.Context(), "key", backend.Range{}); meaning(err) != "failed" {
				t.Errorf("%v, want a fault", err)
			}
			a.instead(nil)
			if _, _, err := s.Get(t.Context(), "key", backend.Range{}); meaning(err) != "not found" {
				t.Errorf("afterwards: %v", err)
			}
		})
	}
}

// TestLoginHangs: a request that waits for a token ends with its context, although another
// one began the search, and goes on waiting.
func TestLoginHangs(t *testing.T) {
	server := azureWithLogin(t)
	a := newAuthority(t)
	principal(t, "right")
	s := openURL(t, server.URL("container", ""))
	begun, release := make(chan struct{}), make(chan struct{})
	a.instead(func(http.ResponseWriter, *http.Request) bool {
		close(begun)
		<-release
		a.instead(nil)
		return false
	})
	get := func(ctx context.Context) <-chan error {
		result := make(chan error, 1)
		go func() {
			_, _, err := s.Get(ctx, "key", backend.Range{})
			result <- err
		}()
		return result
	}
	patient := get(t.Context())
	<-begun
	givenUp := errors.New("given up")
	ctx, cancel := context.WithCancelCause(t.Context())
	impatient := get(ctx)
	cancel(givenUp)
	select {
	case err := <-impatient:
		if !errors.Is(err, givenUp) {
			t.Errorf("%v, want the cause", err)
		}
	case <-time.After(time.Minute):
		t.Error("it waits for the other one")
	}
	close(release)
	if err := <-patient; meaning(err) != "not found" {
		t.Error(err)
	}
	if n := a.asked.Load(); n != 1 {
		t.Errorf("%d requests for a token, want 1", n)
	}
}

// metadata directs all requests to a server that answers at the address of a metadata
// service, in plain HTTP.
type metadata struct{ address string }

func (m metadata) RoundTrip(req *http.Request) (*http.Response, error) {
	req = req.Clone(req.Context())
	req.URL.Host = m.address
	return http.DefaultTransport.RoundTrip(req)
}

// TestMetadata: what answers at the address of Azure's metadata service may be something
// else, which does not end the search.
func TestMetadata(t *testing.T) {
	installAz(t)
	refusing := func(status int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }
	}
	azures := func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Metadata") != "true" {
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprint(w, `{"error": "invalid_request", "error_description": "Required metadata header not specified"}`)
			return
		}
		fmt.Fprintf(w, `{"token_type": "Bearer", "expires_on": "%d", "resource": "x", "access_token": "metadata"}`, time.Now().Add(time.Hour).Unix())
	}
	noIdentity := func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprint(w, `{"error": "invalid_request", "error_description": "Identity not found"}`)
	}
	for name, test := range map[string]struct {
		server  http.HandlerFunc
		isAzure bool
	}{
		"Azure":                     {azures, true},
		"Azure, without identities": {noIdentity, false},
		"a proxy":                   {refusing(http.StatusForbidden), false},
		"Amazon":                    {refusing(http.StatusUnauthorized), false},
		"Amazon, older":             {refusing(http.StatusNotFound), false},
		"a captive portal":          {func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>Welcome") }, false},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(test.server)
			defer server.Close()
			if test.isAzure { // the library keeps tokens of identities without a name
				t.Setenv("AZURE_CLIENT_ID", "client")
			}
			login, err := azblob.NewLogin(metadata{server.Listener.Addr().String()})
			if err != nil {
				t.Fatal(err)
			}
			got, err := login.GetToken(t.Context(), policy.TokenRequestOptions{Scopes: []string{"https://storage.azure.com/.default"}})
			if err != nil || (got.Token == "metadata") != test.isAzure {
				t.Errorf("got %q, %v", got.Token, err)
			}
		})
	}
}

package gcs

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// googleServer answers in place of Google's servers that give out tokens.
type googleServer struct {
	*httptest.Server
	tokens atomic.Int64  // how many it gave
	refuse atomic.Int64  // status of all answers, if it is not 0
	gate   chan struct{} // if it is not nil, answers wait until it is closed
}

func newGoogle(t *testing.T) *googleServer {
	g := new(googleServer)
	g.Server = httptest.NewServer(g)
	t.Cleanup(g.Close)
	return g
}

// ServeHTTP answers with the token "for <name of the flow>". What a flow shows first must be
// what the flow before it gave.
func (g *googleServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if g.gate != nil {
		<-g.gate
	}
	if code := int(g.refuse.Load()); code != 0 {
		http.Error(w, strings.Repeat("no ", 1000), code)
		return
	}
	form := func(name, value string) bool { return r.FormValue(name) == value }
	// token is one for value, or one that suffices to ask for that of another account.
	token := func(value, scopes string) string {
		if scopes == anyScope {
			return "for anything"
		}
		return value
	}
	var answer any
	switch r.URL.Path {
	case "/key":
		if form("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer") {
			answer = map[string]any{"access_token": token("for a key", claims(r.FormValue("assertion")).Scope), "token_type": "Bearer", "expires_in": 3600}
		}
	case "/subject":
		answer = map[string]any{"id_token": "subject"}
	case "/sts":
		if form("subject_token", "subject") && form("audience", "pool") {
			answer = map[string]any{
				"access_token": token("for a workload", r.FormValue("scope")), "token_type": "Bearer", "expires_in": 3600,
				"issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
			}
		}
	case "/impersonate":
		var asked struct{ Scope []string }
		if json.NewDecoder(r.Body).Decode(&asked) == nil && len(asked.Scope) == 1 && r.Header.Get("Authorization") == "Bearer for anything" {
			answer = map[string]any{
				"accessToken": "for another account", "expireTime": time.Now().Add(time.Hour).UTC().Format(time.RFC3339),
			}
		}
	case "/computeMetadata/v1/instance/service-accounts/default/token":
		if r.Header.Get("Metadata-Flavor") == "Google" {
			answer = map[string]any{"access_token": "for a machine", "token_type": "Bearer", "expires_in": 3600}
		}
	}
	if answer == nil {
		http.Error(w, "unexpected request for "+r.URL.Path, http.StatusBadRequest)
		return
	}
	g.tokens.Add(1)
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(answer)
}

// claim is what a JWT says, as far as the tests look at it.
type claim struct{ Scope string }

// claims returns what token says, or nothing if it is no JWT.
func claims(token string) (c claim) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return claim{}
	}
	data, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil || json.Unmarshal(data, &c) != nil {
		return claim{}
	}
	return c
}

// file writes credentials to a file and returns its path.
func file(t *testing.T, credentials map[string]any) string {
	t.Helper()
	data, err := json.Marshal(credentials)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "credentials.json")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// key is the key of a service account.
func (g *googleServer) key(t *testing.T) map[string]any {
	t.Helper()
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	data, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]any{
		"type": "service_account", "client_email": "larder@example.com", "private_key_id": "1",
		"private_key": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: data})),
		"token_uri":   g.URL + "/key",
	}
}

// workload is the identity of a workload whose own token comes from source.
func (g *googleServer) workload(source map[string]any) map[string]any {
	return map[string]any{
		"type": "external_account", "audience": "pool",
		"subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
		"token_url":          g.URL + "/sts", "credential_source": source,
	}
}

// with returns a copy of credentials in which name is value.
func with(credentials map[string]any, name string, value any) map[string]any {
	credentials[name] = value
	return credentials
}

package testserver

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
)

// Azurite has one account, whose key is the same everywhere and no secret.
const (
	azureAccount = "devstoreaccount1"
	azureKey     = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
)

// AzureServer is a running Azurite.
type AzureServer struct {
	Endpoint     string // http://host:port or https://host:port, without the account
	Account, Key string
	Certificate  *x509.Certificate // its own and its issuer's; nil: it has no TLS
}

// Azure starts an Azure Blob Storage server without containers. It keeps its objects in
// memory.
func Azure(t testing.TB) AzureServer {
	t.Helper()
	return startAzure(t, AzureServer{Endpoint: "http://"})
}

// AzureWithLogin is [Azure] with TLS. The server also accepts tokens of Microsoft Entra,
// whose claims it checks, but not their signatures.
func AzureWithLogin(t testing.TB) AzureServer {
	t.Helper()
	host := httptest.NewTLSServer(nil) // which has a certificate for this host
	host.Close()
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	private, err := x509.MarshalPKCS8PrivateKey(host.TLS.Certificates[0].PrivateKey)
	if err == nil {
		err = os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600)
	}
	if err == nil {
		err = os.WriteFile(cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: host.Certificate().Raw}), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return startAzure(t, AzureServer{Endpoint: "https://", Certificate: host.Certificate()},
		"--cert", cert, "--key", key, "--oauth", "basic")
}

// startAzure starts s, whose endpoint is only a scheme so far, with more flags.
func startAzure(t testing.TB, s AzureServer, flags ...string) AzureServer {
	t.Helper()
	node, azurite := Node(t, "azurite/dist/src/blob/main.js")
	s.Endpoint += startUntil(t, answersHTTP(strings.TrimSuffix(s.Endpoint, "://")), node, func(port int) []string {
		return append([]string{
			azurite, "--blobHost", "127.0.0.1", "--blobPort", strconv.Itoa(port),
			"--inMemoryPersistence", "--silent", "--disableTelemetry",
		}, flags...)
	})
	s.Account, s.Key = azureAccount, azureKey
	return s
}

// Service returns the URL of the account, as larder's parameter endpoint has it.
func (s AzureServer) Service() string { return s.Endpoint + "/" + s.Account }

// Container creates a container.
func (s AzureServer) Container(t testing.TB, name string) {
	t.Helper()
	client, err := s.client(name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Create(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
}

// client returns Azure's own client of a container.
func (s AzureServer) client(name string) (*container.Client, error) {
	key, err := container.NewSharedKeyCredential(s.Account, s.Key)
	if err != nil {
		return nil, err
	}
	options := new(container.ClientOptions)
	options.PerCallPolicies = []policy.Policy{olderVersion{}}
	transport := &http.Transport{DisableKeepAlives: true}
	if s.Certificate != nil {
		transport.TLSClientConfig = &tls.Config{RootCAs: x509.NewCertPool()}
		transport.TLSClientConfig.RootCAs.AddCert(s.Certificate)
	}
	options.Transport = &http.Client{Transport: transport}
	return container.NewClientWithSharedKeyCredential(s.Service()+"/"+name, key, options)
}

// olderVersion has the SDK speak a version of the protocol that Azurite knows. Azurite has
// a flag for that, but those who run one may not have set it.
type olderVersion struct{}

func (olderVersion) Do(req *policy.Request) (*http.Response, error) {
	req.Raw().Header["x-ms-version"] = []string{"2021-12-02"}
	return req.Next()
}

// URL returns larder's URL for prefix in a container. A test that uses a [Proxy] first sets
// Endpoint to the proxy's.
func (s AzureServer) URL(container, prefix string) string {
	query := url.Values{"endpoint": {s.Service()}}
	u := url.URL{Scheme: "azblob", Host: s.Account, Path: "/" + container, RawQuery: query.Encode()}
	return u.JoinPath(prefix).String()
}

// Environ returns the variables that have the account's credentials.
func (s AzureServer) Environ() []string { return []string{"AZURE_STORAGE_KEY=" + s.Key} }

// Setenv sets the variables of [AzureServer.Environ] for the rest of the test.
func (s AzureServer) Setenv(t testing.TB) {
	t.Helper()
	t.Setenv("AZURE_STORAGE_KEY", s.Key)
}

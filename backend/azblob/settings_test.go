package azblob_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/sas"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/backend/azblob"
	"github.com/larderbuild/larder/backend/backendtest"
	"github.com/larderbuild/larder/testserver"
)

const (
	connectionString = "AZURE_STORAGE_CONNECTION_STRING"
	account          = "AZURE_STORAGE_ACCOUNT"
	sasToken         = "AZURE_STORAGE_SAS_TOKEN"
	accountKey       = "AZURE_STORAGE_KEY"
)

// wrongKey is a key that no account has.
const wrongKey = "d3Jvbmc="

// signSAS returns a SAS token for a container, which is good for the given time.
func signSAS(t *testing.T, server testserver.AzureServer, name string, rights sas.ContainerPermissions, good time.Duration) string {
	t.Helper()
	key, err := container.NewSharedKeyCredential(server.Account, server.Key)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := sas.BlobSignatureValues{
		Version: "2021-12-02", ContainerName: name, Permissions: rights.String(),
		StartTime: time.Now().Add(-time.Hour).UTC(), ExpiryTime: time.Now().Add(good).UTC(),
	}.SignWithSharedKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return signed.Encode()
}

var allRights = sas.ContainerPermissions{Read: true, Write: true, Create: true, Delete: true, List: true}

// TestCredentials: each way to name an account and what opens it. What is of another
// account does not count.
func TestCredentials(t *testing.T) {
	server := testserver.Azure(t)
	server.Container(t, "container")
	token := signSAS(t, server, "container", allRights, time.Hour)
	service := server.Service()
	for _, test := range []struct {
		name, endpoint string
		environ        map[string]string
	}{
		{"key", service, map[string]string{accountKey: server.Key}},
		{"key of the account", service, map[string]string{accountKey: server.Key + "\n", account: server.Account}},
		{"SAS token", service, map[string]string{sasToken: token}},
		{"SAS token with a question mark, before a key", service, map[string]string{sasToken: "?" + token, accountKey: wrongKey}},
		{"connection string", "", map[string]string{
			connectionString: "DefaultEndpointsProtocol=http;AccountName=" + server.Account + ";AccountKey=" + server.Key + ";BlobEndpoint=" + service + "/;",
		}},
		{"connection string before a token and another account", "", map[string]string{
			connectionString: "AccountName=" + server.Account + ";SharedAccessSignature=" + token + ";BlobEndpoint=" + service,
			sasToken:         "sig=wrong", accountKey: wrongKey, account: "other",
		}},
		{"endpoint of the URL, before that of a connection string", service, map[string]string{
			connectionString: "AccountName=" + server.Account + ";AccountKey=" + server.Key + ";EndpointSuffix=core.example.com",
		}},
		{"connection string of another account", service, map[string]string{
			connectionString: "AccountName=other;AccountKey=" + wrongKey, accountKey: server.Key,
		}},
		{"connection string of an emulator", service, map[string]string{
			connectionString: "UseDevelopmentStorage=true", accountKey: server.Key,
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			for name, value := range test.environ {
				t.Setenv(name, value)
			}
			s, err := azblob.Open(t.Context(), azblob.Config{Account: server.Account, Container: "container", Endpoint: test.endpoint})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			backendtest.PutBytes(t, s, "key/ö", []byte("data"))
			for obj, err := range s.List(t.Context(), "key/") {
				if err != nil || obj.Key != "key/ö" {
					t.Errorf("listed %+v, %v", obj, err)
				}
			}
			if err := s.Delete(t.Context(), "key/ö", ""); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestDenied(t *testing.T) {
	server := testserver.Azure(t)
	server.Container(t, "container")
	reading := sas.ContainerPermissions{Read: true}
	for _, test := range []struct {
		name, variable, value string
		change                func(*azblob.Config)
		want                  string
	}{
		{"no such container", accountKey, server.Key, func(cfg *azblob.Config) { cfg.Container = "other" }, "404 ContainerNotFound"},
		{"no such account", accountKey, server.Key, func(cfg *azblob.Config) { cfg.Account = "other" }, "other/container: 403"},
		{"wrong key", accountKey, wrongKey, nil, "403"},
		{"expired SAS token", sasToken, signSAS(t, server, "container", allRights, -time.Minute), nil, "the SAS token was good until 20"},
		{"SAS token of another container", sasToken, signSAS(t, server, "other", allRights, time.Hour), nil, "403"},
		{"changed SAS token", sasToken, strings.Replace(signSAS(t, server, "container", reading, time.Hour), "sp=r", "sp=rwdl", 1), nil, "403"},
		{"anonymous", accountKey, server.Key, func(cfg *azblob.Config) { cfg.Anonymous = true }, "403"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Setenv(test.variable, test.value)
			cfg := azblob.Config{Account: server.Account, Container: "container", Endpoint: server.Service()}
			if test.change != nil {
				test.change(&cfg)
			}
			s, err := azblob.Open(t.Context(), cfg)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			backendtest.WantDenied(t, s)
			if _, _, err = s.Get(t.Context(), "key", backend.Range{}); !strings.Contains(err.Error(), test.want) {
				t.Errorf("%v does not say %q", err, test.want)
			}
		})
	}
}

// TestReadOnlyToken: with a SAS token that allows reading only, what would write is denied,
// and a missing object is a miss.
func TestReadOnlyToken(t *testing.T) {
	server := testserver.Azure(t)
	server.Container(t, "container")
	t.Setenv(sasToken, signSAS(t, server, "container", sas.ContainerPermissions{Read: true}, time.Hour))
	s := openURL(t, server.URL("container", ""))
	if _, _, err := s.Get(t.Context(), "key", backend.Range{}); meaning(err) != "not found" {
		t.Errorf("get: %v", err)
	}
	if _, err := s.Put(t.Context(), "key", strings.NewReader("data"), backend.OptionsOf([]byte("data"))); meaning(err) != "denied" {
		t.Errorf("put: %v", err)
	}
}

// TestUnusable: what can't be right is an error before the first request. It names the
// variable, and repeats nothing of its value.
func TestUnusable(t *testing.T) {
	const endpoint = "http://127.0.0.1:1/account"
	for _, test := range []struct {
		name, variable, value string
		want                  []string
	}{
		{"key", accountKey, "hunter2!", []string{accountKey, "base64"}},
		{"SAS token", sasToken, "hunter2", []string{sasToken, "sig="}},
		{"SAS token with a bad escape", sasToken, "sig=hunter2%zz", []string{sasToken, "sig="}},
		{"connection string", connectionString, "hunter2", []string{connectionString, "AccountName=…"}},
		{"key in a connection string", connectionString, "AccountName=account;AccountKey=hunter2!", []string{connectionString, "base64"}},
		{"connection string without credentials", connectionString, "AccountName=account", []string{connectionString, "neither an AccountKey nor a SharedAccessSignature"}},
		{"endpoint in a connection string", connectionString, "AccountName=account;AccountKey=eA==;BlobEndpoint=https://x?hunter2", []string{connectionString, "BlobEndpoint"}},
		{"nothing, without TLS", "", "", []string{"no key and no SAS token for account account", endpoint, "TLS"}},
		{"key of another account", accountKey + "," + account, "eA==,other", []string{"no key", account + " names another"}},
		{"connection string of another account", connectionString, "AccountName=other;AccountKey=hunter2", []string{"no key", connectionString + " is of another"}},
		{"chain", "AZURE_TOKEN_CREDENTIALS", "magic", []string{"AZURE_TOKEN_CREDENTIALS", "magic"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			values := strings.Split(test.value, ",")
			for i, variable := range strings.Split(test.variable, ",") {
				if variable != "" {
					t.Setenv(variable, values[i])
				}
			}
			cfg := azblob.Config{Account: "account", Container: "container", Endpoint: endpoint}
			if test.name == "chain" {
				cfg.Endpoint = ""
			}
			_, err := azblob.Open(t.Context(), cfg)
			if err == nil {
				t.Fatal("accepted")
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q does not say %q", err, want)
				}
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("it repeats the value: %v", err)
			}
		})
	}
}

// TestAPIVersion: requests ask for a version of the protocol that emulators know, and a SAS
// token is a part of their query.
func TestAPIVersion(t *testing.T) {
	t.Setenv(sasToken, "sv=2021-12-02&sig=a%2Bb")
	var header string
	var query url.Values
	s := recording(t, &header, &query)
	for range s.List(t.Context(), "") {
	}
	if header != "2021-12-02" || query.Get("sig") != "a+b" || query.Get("comp") != "list" {
		t.Errorf("version %s, query %v", header, query)
	}
}

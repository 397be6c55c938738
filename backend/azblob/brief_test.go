package azblob_test

import (
	"html"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/backend/azblob"
)

// TestBrief: an error is short, and says first what matters. It repeats no secret, whatever
// the requests have.
func TestBrief(t *testing.T) {
	server := func(status int, body string) string {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Ms-Request-Id", "R1")
			w.WriteHeader(status)
			io.WriteString(w, strings.ReplaceAll(body, "SIGNED", html.EscapeString(r.URL.String()+r.Header.Get("Authorization"))))
		}))
		t.Cleanup(s.Close)
		return s.URL
	}
	gone := httptest.NewServer(nil)
	gone.Close()
	for _, test := range []struct{ name, endpoint, want string }{
		{"an answer", server(503, "<Error><Code>ServerBusy</Code><Message>The server is busy.\nRequestId:R1\nTime:now</Message></Error>"),
			"get key: too many requests: bucket account/container: 503 ServerBusy: The server is busy. (request R1)"},
		{"denied", server(403, "<Error><Code>AuthorizationFailure</Code></Error>"),
			"get key: access denied: bucket account/container: 403 AuthorizationFailure (request R1)"},
		{"no container", server(404, "<Error><Code>ContainerNotFound</Code><Message>The specified container does not exist.\nRequestId:R1</Message></Error>"),
			"get key: access denied: bucket account/container: 404 ContainerNotFound: The specified container does not exist. (request R1)"},
		{"a wrong signature", server(403, "<Error><Code>AuthenticationFailed</Code><Message>Server failed to authenticate the request.\nRequestId:R1</Message>"+
			"<AuthenticationErrorDetail>The MAC signature found in the HTTP request 'SIGNED' is not the same as any computed signature.</AuthenticationErrorDetail></Error>"),
			"get key: access denied: bucket account/container: 403 AuthenticationFailed: Server failed to authenticate the request. (request R1)"},
		{"an expired token", server(403, "<Error><Code>AuthenticationFailed</Code><Message>Server failed to authenticate the request.</Message>"+
			"<AuthenticationErrorDetail>Signature not valid in the specified time frame: Start [a] - Expiry [b] - Current [c]</AuthenticationErrorDetail></Error>"),
			"get key: access denied: bucket account/container: 403 AuthenticationFailed: Signature not valid in the specified time frame: Start [a] - Expiry [b] - Current [c] (request R1)"},
		{"a wrong clock", server(403, "<Error><Code>AuthenticationFailed</Code><Message>Server failed to authenticate the request.</Message>"+
			"<AuthenticationErrorDetail>Request date header too old: 'now'</AuthenticationErrorDetail></Error>"),
			"get key: access denied: bucket account/container: 403 AuthenticationFailed: Request date header too old: 'now' (request R1)"},
		{"a page", server(502, "<html>"+strings.Repeat("bad gateway ", 1000)+"</html>"), "get key: 502 Bad Gateway (request R1)"},
		{"nobody", gone.URL, "get key: dial tcp "},
	} {
		for variable, secret := range map[string]string{
			"AZURE_STORAGE_KEY":       "aHVudGVyMg==",
			"AZURE_STORAGE_SAS_TOKEN": "sv=2021-12-02&sig=hunter2",
		} {
			t.Run(test.name+"/"+variable, func(t *testing.T) {
				t.Setenv(variable, secret)
				s, err := azblob.Open(t.Context(), azblob.Config{Account: "account", Container: "container", Endpoint: test.endpoint})
				if err != nil {
					t.Fatal(err)
				}
				defer s.Close()
				_, _, err = s.Get(t.Context(), "key", backend.Range{})
				_, errPut := s.Put(t.Context(), "key", strings.NewReader(""), backend.OptionsOf(nil))
				if want := strings.Replace(test.want, "get", "put", 1); errPut == nil || !strings.HasPrefix(errPut.Error(), want) || len(errPut.Error()) > 250 {
					t.Errorf("%v, want %s", errPut, want)
				}
				if err == nil || !strings.HasPrefix(err.Error(), test.want) || len(err.Error()) > 250 {
					t.Fatalf("%v, want %s", err, test.want)
				}
				if strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "SharedKey") {
					t.Errorf("a secret is in it: %v", err)
				}
			})
		}
	}
}

package s3_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/larderbuild/larder/backend"
)

// TestBrief: an error is short, and says first what matters. It repeats no secret.
func TestBrief(t *testing.T) {
	server := func(status int, body string) string {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Amz-Request-Id", "R1")
			w.WriteHeader(status)
			io.WriteString(w, body)
		}))
		t.Cleanup(s.Close)
		return s.URL
	}
	gone := httptest.NewServer(nil)
	gone.Close()
	for _, test := range []struct{ name, endpoint, want string }{
		{"an answer", server(503, "<Error><Code>SlowDown</Code><Message>Reduce your rate.</Message><HostId>H1</HostId></Error>"),
			"get key: too many requests: bucket bucket: 503 SlowDown: Reduce your rate. (request R1)"},
		{"denied", server(403, "<Error><Code>AccessDenied</Code></Error>"),
			"get key: access denied: bucket bucket: 403 AccessDenied"},
		{"a page", server(502, "<html>"+strings.Repeat("bad gateway ", 1000)+"</html>"), "get key: 502 "},
		{"nobody", gone.URL, "get key: dial tcp "},
	} {
		t.Run(test.name, func(t *testing.T) {
			store := openAt(t, test.endpoint)
			_, _, err := store.Get(t.Context(), "key", backend.Range{})
			_, errPut := store.Put(t.Context(), "key", strings.NewReader(""), backend.OptionsOf(nil))
			if want := strings.Replace(test.want, "get", "put", 1); errPut == nil || !strings.HasPrefix(errPut.Error(), want) || len(errPut.Error()) > 200 {
				t.Errorf("%v, want %s", errPut, want)
			}
			if err == nil || !strings.HasPrefix(err.Error(), test.want) || len(err.Error()) > 200 {
				t.Fatalf("%v, want %s", err, test.want)
			}
			if strings.Contains(err.Error(), "token") || strings.Contains(err.Error(), "secret") {
				t.Errorf("a secret is in it: %v", err)
			}
		})
	}
}

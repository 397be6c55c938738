package gcs_test

import (
	"strings"
	"testing"

	"github.com/larderbuild/larder/backend"
)

// TestBrief: an error is short, and says first what matters.
func TestBrief(t *testing.T) {
	for _, test := range []struct {
		name string
		code int
		body string
		want string
	}{
		{"an answer", 503, `{"error":{"code":503,"message":"Try later.","errors":[{"reason":"backendError"}]}}`, "get key: too many requests: bucket bucket: 503 backendError: Try later."},
		{"denied", 403, `{"error":{"code":403,"message":"No.","errors":[{"reason":"forbidden"}]}}`, "get key: access denied: bucket bucket: 403 forbidden: No."},
		{"a page", 502, "<html>" + strings.Repeat("bad gateway ", 1000) + "</html>", "get key: 502 Bad Gateway"},
	} {
		t.Run(test.name, func(t *testing.T) {
			store := answering(t, test.code, test.body)
			_, _, err := store.Get(t.Context(), "key", backend.Range{})
			_, errPut := store.Put(t.Context(), "key", strings.NewReader(""), backend.OptionsOf(nil))
			if want := strings.Replace(test.want, "get", "put", 1); errPut == nil || errPut.Error() != want {
				t.Errorf("%v, want %s", errPut, want)
			}
			if err == nil || err.Error() != test.want {
				t.Errorf("%v, want %s", err, test.want)
			}
		})
	}
	_, _, err := openAt(t, "http://127.0.0.1:1").Get(t.Context(), "key", backend.Range{})
	if err == nil || !strings.HasPrefix(err.Error(), "get key: dial tcp 127.0.0.1:1: ") {
		t.Errorf("nobody answers: %v", err)
	}
}

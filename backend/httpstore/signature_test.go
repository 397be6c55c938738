package httpstore_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/serve"
)

func signatureOf(key, body string) string {
	mac := hmac.New(sha256.New, []byte(key))
	io.WriteString(mac, body)
	return fmt.Sprintf("%x", mac.Sum(nil))
}

// TestSignatures: a Put is signed, and a whole object whose signature is not right does not come
// to its end.
func TestSignatures(t *testing.T) {
	large := strings.Repeat("0123456789", 100_000)
	for _, body := range []string{"", "data", large} {
		good := signatureOf("secret", body)
		signature := ""
		server := serving(t, func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodGet {
				if signature != "" {
					w.Header().Set("X-Content-Signature", signature)
				}
				w.Header().Set("Content-Length", fmt.Sprint(len(body)))
				io.WriteString(w, body)
			}
		})
		t.Setenv("LARDER_HMAC_KEY", "secret")
		s := openFor(t, server.url)
		if _, err := put(t, s, body, backend.Condition{}); err != nil {
			t.Error(err)
		}
		if seen := server.requests(); len(seen) != 1 || seen[0].Header.Get("X-Content-Signature") != good || seen[0].body != body {
			t.Errorf("put of %d bytes: %v", len(body), seen)
		}
		for given, right := range map[string]bool{
			good: true, strings.ToUpper(good): true,
			"": false, good[:62]: false, good + "00": false, good + "0": false, "x" + good[1:]: false, "junk": false,
			signatureOf("other", body): false, signatureOf("secret", body+"x"): false, signatureOf("", body): false,
		} {
			signature = given
			got, _, err := get(t, s, backend.Range{})
			if right && (err != nil || got != body) {
				t.Errorf("%q: %d bytes, %v", given, len(got), err)
			}
			if !right {
				means(t, given, err, nil)
				if err != nil && (!strings.Contains(err.Error(), "LARDER_HMAC_KEY") || !strings.Contains(err.Error(), "X-Content-Signature") || strings.Contains(err.Error(), "secret")) {
					t.Errorf("%q: %v", given, err)
				}
			}
		}
		if part, _, err := get(t, s, backend.Range{Length: 2}); err != nil || part != body[:min(2, len(body))] {
			t.Errorf("a part, which has no signature: %q, %v", part, err)
		}
	}
	t.Setenv("LARDER_HMAC_KEY", "")
	server := serving(t, func(w http.ResponseWriter, r *http.Request) { w.Header().Set("X-Content-Signature", "junk") })
	s := openFor(t, server.url)
	if _, _, err := get(t, s, backend.Range{}); err != nil {
		t.Errorf("without a key: %v", err)
	}
	if _, err := put(t, s, "", backend.Condition{}); err != nil {
		t.Error(err)
	}
	for _, r := range server.requests() {
		if r.Header.Get("X-Content-Signature") != "" {
			t.Error("a signature without a key")
		}
	}
}

// TestSignaturesOfServe: larder serve and the driver sign alike.
func TestSignaturesOfServe(t *testing.T) {
	cfg := config(t)
	cfg.HMACKey = []byte("secret")
	server := httptest.NewServer(serve.New(cfg))
	t.Cleanup(server.Close)
	opened := func(key string) backend.Store {
		t.Setenv("LARDER_HMAC_KEY", key)
		return openFor(t, server.URL+"/cache")
	}
	right, wrong, none := opened("secret"), opened("guessed"), opened("")
	for _, data := range []string{"data", "", strings.Repeat("0123456789", 300_000)} {
		if _, err := put(t, right, data, backend.Condition{}); err != nil {
			t.Fatal(err)
		}
		if got, _, err := get(t, right, backend.Range{}); err != nil || got != data {
			t.Errorf("got %d bytes, %v; want %d", len(got), err, len(data))
		}
		if got, _, err := get(t, none, backend.Range{}); err != nil || got != data {
			t.Errorf("without a key: got %d bytes, %v; want %d", len(got), err, len(data))
		}
		_, _, err := get(t, wrong, backend.Range{})
		means(t, "get with another key", err, nil)
		_, err = put(t, wrong, "other", backend.Condition{})
		means(t, "put with another key", err, backend.ErrDenied)
		if got, _, err := get(t, right, backend.Range{}); err != nil || got != data {
			t.Errorf("after a put that was refused: got %d bytes, %v; want %d", len(got), err, len(data))
		}
	}
	_, err := put(t, right, "data", backend.Condition{Absent: true})
	means(t, "put of what is there", err, backend.ErrConflict)
	for op, err := range map[string]error{"delete": right.Delete(t.Context(), "key", ""), "list": list(t, right)} {
		means(t, op+" below /cache", err, backend.ErrDenied)
	}
}

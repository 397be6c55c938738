package backend_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/testserver"
)

func TestTLSConfig(t *testing.T) {
	authority := testserver.NewAuthority(t)
	cert, key := authority.Issue("larder", time.Now().Add(time.Hour))
	_, otherKey := authority.Issue("other", time.Now().Add(time.Hour))
	both, garbage := filepath.Join(t.TempDir(), "both.pem"), filepath.Join(t.TempDir(), "garbage")
	var pem []byte
	for _, file := range []string{key, cert} {
		part, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		pem = append(pem, part...)
	}
	for file, data := range map[string][]byte{both: pem, garbage: []byte("hunter2")} {
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, test := range map[string]struct {
		ca, cert, key string
		reason        string // "": all is right
	}{
		"nothing":             {"", "", "", ""},
		"an authority":        {authority.File, "", "", ""},
		"a client":            {"", cert, key, ""},
		"a client in a file":  {"", both, "", ""},
		"no such authority":   {"/missing.pem", "", "", "LARDER_TLS_CA: open /missing.pem"},
		"no certificate":      {garbage, "", "", "LARDER_TLS_CA: " + garbage + " has no certificate"},
		"no such client":      {"", "/missing.pem", key, "LARDER_TLS_CERT: open /missing.pem"},
		"a key alone":         {"", "", key, "LARDER_TLS_CERT is not set"},
		"a certificate alone": {"", cert, "", "LARDER_TLS_CERT: "},
		"another's key":       {"", cert, otherKey, "does not match"},
		"garbage":             {"", cert, garbage, "LARDER_TLS_CERT: "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("LARDER_TLS_CA", test.ca)
			t.Setenv("LARDER_TLS_CERT", test.cert)
			t.Setenv("LARDER_TLS_KEY", test.key)
			c, err := backend.TLSConfig()
			switch {
			case test.reason == "" && err != nil:
				t.Error(err)
			case test.reason != "" && (err == nil || !strings.Contains(err.Error(), test.reason) || strings.Contains(err.Error(), "hunter2")):
				t.Errorf("error %v, want %q", err, test.reason)
			case test.reason == "" && ((c.RootCAs != nil) != (test.ca != "") || len(c.Certificates) > 0 != (test.cert != "")):
				t.Errorf("%+v", c)
			}
		})
	}
}

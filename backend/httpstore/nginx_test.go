package httpstore_test

import (
	"encoding/pem"
	"errors"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/backend/backendtest"
	"github.com/larderbuild/larder/backend/httpstore"
	"github.com/larderbuild/larder/testserver"
)

// TestNginx runs the suite on nginx with client certificates, as docs/remotes/nginx.conf has
// it.
func TestNginx(t *testing.T) {
	url := nginx(t)
	n := 0
	backendtest.Run(t, func(t *testing.T) backend.Store {
		n++
		return open(t, fmt.Sprintf("%s/%d?plain=true", url, n))
	})
}

// TestNginxUnknown runs the tests that need conditions and lists on a server that has
// neither, without the URL saying so: the driver finds out.
func TestNginxUnknown(t *testing.T) {
	s := open(t, nginx(t)+"/deep/below")
	defer s.Close()
	data := []byte("data")
	opts := backend.OptionsOf(data)
	opts.If.Absent = true
	if _, err := s.Put(t.Context(), "key", strings.NewReader("data"), opts); !errors.Is(err, backend.ErrNoConditions) {
		t.Errorf("put on a condition: %v", err)
	}
	if err := s.Delete(t.Context(), "key", ""); !errors.Is(err, backend.ErrUnsupported) {
		t.Errorf("delete: %v", err)
	}
	for _, err := range s.List(t.Context(), "") {
		if !errors.Is(err, backend.ErrUnsupported) {
			t.Errorf("list: %v", err)
		}
	}
	backendtest.PutBytes(t, s, "key", data)
}

// nginx starts nginx as docs/remotes/nginx.conf has it, and returns its URL. This process has
// a certificate that it accepts.
func nginx(t *testing.T) (url string) {
	t.Helper()
	authority := testserver.NewAuthority(t)
	cert, key := authority.Issue("server", time.Now().Add(time.Hour))
	conf, err := os.ReadFile("../../docs/remotes/nginx.conf")
	if err != nil {
		t.Fatal(err)
	}
	addr := testserver.Nginx(t, "https", func(port int, dir string) string {
		for _, name := range []string{"objects", "incoming"} {
			if err := os.MkdirAll(filepath.Join(dir, name), 0o700); err != nil {
				t.Fatal(err)
			}
		}
		return strings.NewReplacer(
			"listen 443", fmt.Sprintf("listen 127.0.0.1:%d", port), "/var/lib/larder", dir,
			"/etc/nginx/larder/server.pem", cert, "/etc/nginx/larder/server.key", key, "/etc/nginx/larder/clients.pem", authority.File,
		).Replace(string(conf))
	})
	client, clientKey := authority.Issue("client", time.Now().Add(time.Hour))
	t.Setenv("LARDER_TLS_CA", authority.File)
	t.Setenv("LARDER_TLS_CERT", client)
	t.Setenv("LARDER_TLS_KEY", clientKey)
	return "https://" + addr
}

func open(t *testing.T, url string) backend.Store {
	t.Helper()
	cfg, err := httpstore.ParseConfig(url)
	if err != nil {
		t.Fatal(err)
	}
	s, err := httpstore.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// trust has this process trust server's certificate.
func trust(t *testing.T, server *httptest.Server) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "ca.pem")
	data := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("LARDER_TLS_CA", file)
}

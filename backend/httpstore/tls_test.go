package httpstore_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/backend/backendtest"
	"github.com/larderbuild/larder/serve"
	"github.com/larderbuild/larder/testserver"
)

// tlsServer starts larder serve with the certificates in files. Everybody whose certificate
// names a writer may write. It returns the URL and counts the requests.
func tlsServer(t *testing.T, files serve.Certificates, log *slog.Logger) (url string, requests *atomic.Int64) {
	t.Helper()
	cfg := config(t)
	cfg.Access = serve.NewAccess(&serve.Rules{Certificates: []serve.CertificateRule{
		{Name: "writer-*", Rights: serve.Rights{Write: []string{"*"}}},
	}}, cfg.Log)
	handler := serve.New(cfg)
	requests = new(atomic.Int64)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		handler.ServeHTTP(w, r)
	}))
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
	var err error
	if server.TLS, err = files.Config(log); err != nil {
		t.Fatal(err)
	}
	server.StartTLS()
	t.Cleanup(server.Close)
	return server.URL, requests
}

// issue makes a server's certificate, and has this process trust it.
func issue(t *testing.T) (*testserver.Authority, serve.Certificates) {
	authority := testserver.NewAuthority(t)
	cert, key := authority.Issue("server", time.Now().Add(time.Hour))
	t.Setenv("LARDER_TLS_CA", authority.File)
	return authority, serve.Certificates{Cert: cert, Key: key, ClientCA: authority.File}
}

// TestClientCertificates: whom larder serve lets in by a certificate.
func TestClientCertificates(t *testing.T) {
	authority, files := issue(t)
	url, requests := tlsServer(t, files, slog.New(slog.DiscardHandler))
	other := testserver.NewAuthority(t)
	hour := time.Now().Add(time.Hour)
	for _, params := range []string{"", "?http2=true"} {
		opened := func(a *testserver.Authority, name string, end time.Time) backend.Store {
			t.Helper()
			cert, key := "", ""
			if a != nil {
				cert, key = a.Issue(name, end)
			}
			t.Setenv("LARDER_TLS_CERT", cert)
			t.Setenv("LARDER_TLS_KEY", key)
			return openFor(t, url+"/v1/scope"+params)
		}
		t.Run("none"+params, func(t *testing.T) {
			s := opened(nil, "", hour)
			backendtest.WantDenied(t, s)
			if _, _, err := get(t, s, backend.Range{}); err == nil || !strings.Contains(err.Error(), "401 Unauthorized: want a token") {
				t.Errorf("%v, want 401", err)
			}
		})
		t.Run("another name"+params, func(t *testing.T) {
			s := opened(authority, "reader-1", hour)
			backendtest.WantDenied(t, s)
			if _, _, err := get(t, s, backend.Range{}); err == nil || !strings.Contains(err.Error(), "403 Forbidden: not allowed") {
				t.Errorf("%v, want 403", err)
			}
		})
		t.Run("right"+params, func(t *testing.T) {
			s := opened(authority, "writer-1", hour)
			if _, err := put(t, s, "data", backend.Condition{}); err != nil {
				t.Error(err)
			}
			if got, _, err := get(t, s, backend.Range{}); err != nil || got != "data" {
				t.Errorf("%q, %v", got, err)
			}
		})
		for name, s := range map[string]backend.Store{
			"expired":           opened(authority, "writer-1", time.Now().Add(-time.Hour)),
			"another authority": opened(other, "writer-1", hour),
		} {
			t.Run(name+params, func(t *testing.T) {
				before := requests.Load()
				for op, do := range operations(t, s) {
					if err := do(); err == nil || errors.Is(err, backend.ErrNotFound) || errors.Is(err, backend.ErrNoConditions) || errors.Is(err, backend.ErrUnsupported) {
						t.Errorf("%s: %v, want an error", op, err)
					}
				}
				if n := requests.Load() - before; n != 0 {
					t.Errorf("%d requests came through", n)
				}
			})
		}
	}
}

// TestServerCertificates: the driver speaks to no server that it can't trust.
func TestServerCertificates(t *testing.T) {
	_, files := issue(t)
	url, requests := tlsServer(t, files, slog.New(slog.DiscardHandler))
	other := testserver.NewAuthority(t)
	past := files
	past.Cert, past.Key = other.Issue("server", time.Now().Add(-time.Hour))
	expired, _ := tlsServer(t, past, slog.New(slog.DiscardHandler))
	for name, test := range map[string]struct{ url, trusted string }{
		"unknown authority": {url, other.File},
		"nobody":            {url, ""},
		"another name":      {strings.Replace(url, "127.0.0.1", "localhost", 1), files.ClientCA},
		"expired":           {expired, other.File},
	} {
		t.Setenv("LARDER_TLS_CA", test.trusted)
		_, _, err := get(t, openFor(t, test.url), backend.Range{})
		means(t, name, err, nil)
		if err != nil && !strings.Contains(err.Error(), "x509") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := requests.Load(); n != 0 {
		t.Errorf("%d requests came through", n)
	}
	for variable, value := range map[string]string{"LARDER_TLS_CA": "/missing/ca.pem", "LARDER_TLS_CERT": "/missing/cert.pem", "LARDER_TLS_KEY": "/missing/key.pem"} {
		t.Run(variable, func(t *testing.T) {
			t.Setenv("LARDER_TLS_CA", "")
			if err := openError(t, variable, value); err == nil || !strings.Contains(err.Error(), variable) {
				t.Errorf("%v, want %s", err, variable)
			}
		})
	}
}

// errorLog gets the errors of a log.
type errorLog struct {
	slog.Handler
	errors chan string
}

func (l errorLog) Enabled(context.Context, slog.Level) bool { return true }

func (l errorLog) Handle(_ context.Context, r slog.Record) error {
	if r.Level >= slog.LevelError {
		l.errors <- r.Message
	}
	return nil
}

// TestReplacedCertificates: new connections get a certificate that has taken the place of the
// first one, unless it is of no use.
func TestReplacedCertificates(t *testing.T) {
	authority, issued := issue(t)
	dir := t.TempDir()
	files := serve.Certificates{Cert: filepath.Join(dir, "cert.pem"), Key: filepath.Join(dir, "key.pem"), ClientCA: filepath.Join(dir, "clients.pem")}
	replace := func(to, from string) {
		t.Helper()
		data, err := os.ReadFile(from)
		if err == nil {
			err = os.WriteFile(to+".new", data, 0o600)
		}
		if err == nil {
			err = os.Rename(to+".new", to)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	replace(files.Cert, issued.Cert)
	replace(files.Key, issued.Key)
	replace(files.ClientCA, issued.ClientCA)
	log := errorLog{slog.DiscardHandler, make(chan string, 100)}
	url, _ := tlsServer(t, files, slog.New(log))
	if name := served(t, url, authority); name != "server" {
		t.Fatalf("the first certificate is that of %s", name)
	}

	cert, key := authority.Issue("second", time.Now().Add(time.Hour))
	replace(files.Cert, cert)
	replace(files.Key, key)
	eventually(t, "the second certificate", func() bool { return served(t, url, authority) == "second" })
	for len(log.errors) > 0 { // for a moment the files may not have fitted
		<-log.errors
	}

	for name, damage := range map[string]func() error{
		"cert.pem":    func() error { return os.WriteFile(files.Cert, []byte("junk"), 0o600) },
		"key.pem":     func() error { return os.Remove(files.Key) },
		"clients.pem": func() error { return os.WriteFile(files.ClientCA, nil, 0o600) },
	} {
		if err := damage(); err != nil {
			t.Fatal(err)
		}
		eventually(t, "an error in the log about "+name, func() bool {
			if name := served(t, url, authority); name != "second" {
				t.Fatalf("the certificate is that of %s", name)
			}
			return len(log.errors) > 0
		})
		if message := <-log.errors; message != "the certificates stay as they were" {
			t.Errorf("the log says %q", message)
		}
		replace(files.Cert, cert)
		replace(files.Key, key)
		replace(files.ClientCA, issued.ClientCA)
	}

	// Another authority vouches for clients from then on.
	other := testserver.NewAuthority(t)
	client, clientKey := other.Issue("writer-2", time.Now().Add(time.Hour))
	t.Setenv("LARDER_TLS_CERT", client)
	t.Setenv("LARDER_TLS_KEY", clientKey)
	replace(files.ClientCA, other.File)
	eventually(t, "a client of another authority", func() bool {
		s := open(t, url+"/v1/scope")
		defer s.Close()
		_, err := put(t, s, "data", backend.Condition{})
		return err == nil
	})
}

// served returns the name in the certificate of a server.
func served(t *testing.T, url string, authority *testserver.Authority) string {
	t.Helper()
	pem, err := os.ReadFile(authority.File)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	conn, err := tls.Dial("tcp", strings.TrimPrefix(url, "https://"), &tls.Config{RootCAs: pool})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	return conn.ConnectionState().PeerCertificates[0].Subject.CommonName
}

// eventually waits for something that happens soon.
func eventually(t *testing.T, what string, happened func() bool) {
	t.Helper()
	for range 3000 {
		if happened() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("there is never %s", what)
}

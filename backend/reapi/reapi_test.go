package reapi_test

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/backend/backendtest"
	"github.com/larderbuild/larder/backend/dir"
	"github.com/larderbuild/larder/backend/reapi"
	"github.com/larderbuild/larder/serve"
	"github.com/larderbuild/larder/testserver"
)

// TestMain sees to it that no test leaves this host, and that the environment gives no
// credentials.
func TestMain(m *testing.M) {
	for _, pair := range os.Environ() {
		name, _, _ := strings.Cut(pair, "=")
		if strings.HasPrefix(name, "LARDER_") && name != "LARDER_TEST_ALL" || strings.HasPrefix(name, "ACTIONS_ID_TOKEN_") {
			os.Unsetenv(name)
		}
	}
	startProxy()
	os.Exit(m.Run())
}

// TestConformance runs the suite on each server. Each test has an instance of its own.
func TestConformance(t *testing.T) {
	for name, start := range map[string]func(*testing.T) (url string){
		"bazel-remote": bazelRemote,
		"larder serve": larderServe,
	} {
		t.Run(name, func(t *testing.T) {
			url := start(t)
			n := 0
			backendtest.Run(t, func(t *testing.T) backend.Store {
				n++
				return open(t, fmt.Sprintf("%s/team/%d", url, n))
			})
		})
	}
}

// bazelRemote starts bazel-remote with flags, and returns its URL. What it stores of one instance
// others do not see.
func bazelRemote(t *testing.T) (url string) {
	t.Helper()
	return "grpc://" + testserver.BazelRemote(t, "--enable_ac_key_instance_mangling")
}

// larderServe starts larder serve in front of a directory, where everybody may do everything, and
// returns its URL.
func larderServe(t *testing.T) (url string) {
	t.Helper()
	objects, err := dir.Open(t.Context(), dir.Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	everybody, log := serve.Rights{Write: []string{"*"}}, slog.New(slog.DiscardHandler)
	handler := serve.New(serve.Config{
		Store: objects, Access: serve.NewAccess(&serve.Rules{Anonymous: everybody}, log),
		MaxObject: 1 << 30, Requests: 100, Progress: time.Minute, TempDir: t.TempDir(), Log: log,
	})
	server := httptest.NewUnstartedServer(handler)
	server.Config.Protocols = new(http.Protocols)
	server.Config.Protocols.SetUnencryptedHTTP2(true)
	server.Start()
	t.Cleanup(func() {
		server.Close()
		handler.Close()
	})
	return "grpc" + strings.TrimPrefix(server.URL, "http")
}

func open(t *testing.T, url string) backend.Store {
	t.Helper()
	cfg, err := reapi.ParseConfig(url)
	if err != nil {
		t.Fatal(err)
	}
	s, err := reapi.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// openFor is open; the store is closed when the test ends.
func openFor(t *testing.T, url string) backend.Store {
	t.Helper()
	s := open(t, url)
	t.Cleanup(func() { s.Close() })
	return s
}

// get returns what r names of the object under key.
func get(t *testing.T, s backend.Store, key string, r backend.Range) (string, error) {
	t.Helper()
	body, _, err := s.Get(t.Context(), key, r)
	if err != nil {
		return "", err
	}
	defer body.Close()
	data, err := io.ReadAll(body)
	return string(data), err
}

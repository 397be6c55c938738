package httpstore_test

import (
	"fmt"
	"log/slog"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/backend/backendtest"
	"github.com/larderbuild/larder/backend/dir"
	"github.com/larderbuild/larder/serve"
)

// TestServe runs the suite on larder serve in front of a directory, by HTTP/1.1 and by HTTP/2.
func TestServe(t *testing.T) {
	for _, params := range []string{"", "?http2=true"} {
		t.Run(params, func(t *testing.T) {
			server := httptest.NewUnstartedServer(serve.New(config(t)))
			server.EnableHTTP2 = true
			server.StartTLS()
			t.Cleanup(server.Close)
			trust(t, server)
			n := 0
			backendtest.Run(t, func(t *testing.T) backend.Store {
				n++
				return open(t, fmt.Sprintf("%s/v1/scope%d%s", server.URL, n, params))
			})
		})
	}
}

// config returns that of a server in front of a directory, where everybody may do everything.
func config(t *testing.T) serve.Config {
	t.Helper()
	store, err := dir.Open(t.Context(), dir.Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	everybody, log := serve.Rights{Write: []string{"*"}}, slog.New(slog.DiscardHandler)
	return serve.Config{
		Store: store, Access: serve.NewAccess(&serve.Rules{Anonymous: everybody}, log),
		MaxObject: 1 << 30, Requests: 100, Progress: time.Minute, TempDir: t.TempDir(), Log: log,
	}
}

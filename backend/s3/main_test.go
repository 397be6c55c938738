package s3_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"sync"
	"testing"
)

// world records requests for hosts that are not this one.
var world struct {
	mu   sync.Mutex
	seen []*http.Request
}

// TestMain makes a proxy stand for all other hosts, so that no test leaves this one.
// The environment is read once, at the first request.
func TestMain(m *testing.M) {
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		world.mu.Lock()
		defer world.mu.Unlock()
		world.seen = append(world.seen, r)
		w.WriteHeader(http.StatusForbidden)
	}))
	for name, value := range map[string]string{
		"HTTP_PROXY": proxy.URL, "http_proxy": proxy.URL, "HTTPS_PROXY": proxy.URL, "https_proxy": proxy.URL,
		"NO_PROXY": "", "no_proxy": "",
	} {
		os.Setenv(name, value)
	}
	os.Exit(m.Run())
}

// elsewhere returns the requests for other hosts since the last call.
func elsewhere() []*http.Request {
	world.mu.Lock()
	defer world.mu.Unlock()
	seen := world.seen
	world.seen = nil
	return seen
}

package backend_test

import (
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/larderbuild/larder/backend"
)

// TestLimitConnecting: a server that takes connections and says nothing is given up by
// the limit for connecting; the request has none of its own.
func TestLimitConnecting(t *testing.T) {
	t.Parallel()
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	transport := new(http.Transport)
	backend.LimitConnecting(transport)
	defer transport.CloseIdleConnections()
	client := http.Client{Transport: transport}
	_, err = client.Get("https://" + silent.Addr().String())
	if err == nil || !strings.Contains(err.Error(), "handshake timeout") {
		t.Errorf("%v, want a timeout of the handshake", err)
	}
}

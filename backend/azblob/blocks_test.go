package azblob_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync/atomic"
	"testing"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/backend/backendtest"
	"github.com/larderbuild/larder/testserver"
)

// between puts a proxy before server. It calls visit with each request before it passes
// the request on.
func between(t *testing.T, server testserver.AzureServer, visit func(*http.Request)) testserver.AzureServer {
	t.Helper()
	to, err := url.Parse(server.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	pass := httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to) }}
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		visit(r)
		pass.ServeHTTP(w, r)
	}))
	t.Cleanup(proxy.Close)
	server.Endpoint = proxy.URL
	return server
}

// TestBlocksCut: a put whose connection breaks between two blocks leaves nothing that
// anybody sees, and does not hinder the next one.
func TestBlocksCut(t *testing.T) {
	server := testserver.Azure(t)
	server.Setenv(t)
	server.Container(t, "container")
	var blocks atomic.Int64
	server = between(t, server, func(r *http.Request) {
		if r.FormValue("comp") == "block" && blocks.Add(1) == 3 {
			panic(http.ErrAbortHandler)
		}
	})
	s := openURL(t, server.URL("container", ""), inBlocks)
	data := bytes.Repeat([]byte("0123456789abcdef"), 1<<18)
	if _, err := s.Put(t.Context(), "key", bytes.NewReader(data), backend.OptionsOf(data)); meaning(err) != "failed" {
		t.Errorf("put: %v, want a fault", err)
	}
	if _, _, err := s.Get(t.Context(), "key", backend.Range{}); meaning(err) != "not found" {
		t.Errorf("get: %v, want ErrNotFound", err)
	}
	for obj, err := range s.List(t.Context(), "") {
		t.Errorf("listed %+v, %v", obj, err)
	}
	backendtest.PutBytes(t, s, "key", data)
}

// TestBlocksInterfered: another writer puts the same object, or blocks for it, while this
// one's blocks are there.
func TestBlocksInterfered(t *testing.T) {
	mine, others := bytes.Repeat([]byte("mine"), 1<<19), bytes.Repeat([]byte("else"), 1<<19)
	whole := func(t *testing.T, server testserver.AzureServer) {
		backendtest.PutBytes(t, openURL(t, server.URL("container", "")), "key", others)
	}
	unfinished := func(t *testing.T, server testserver.AzureServer) {
		server = between(t, server, func(r *http.Request) {
			if r.FormValue("comp") == "blocklist" {
				panic(http.ErrAbortHandler)
			}
		})
		if _, err := openURL(t, server.URL("container", ""), inBlocks).Put(t.Context(), "key", bytes.NewReader(others), backend.OptionsOf(others)); err == nil {
			t.Error("the other put is finished")
		}
	}
	for name, test := range map[string]struct {
		interfere func(*testing.T, testserver.AzureServer)
		cond      backend.Condition
		outcomes  map[string][]byte // what is stored then
	}{
		"an object": {whole, backend.Condition{Absent: true}, map[string][]byte{"conflict": others}},
		// The last one stays. But Azure drops the blocks of this one, which Azurite does not.
		"an object, no condition": {whole, backend.Condition{}, map[string][]byte{"success": mine, "contention": others}},
		"blocks":                  {unfinished, backend.Condition{}, map[string][]byte{"success": mine}},
	} {
		t.Run(name, func(t *testing.T) {
			server := testserver.Azure(t)
			server.Setenv(t)
			server.Container(t, "container")
			s := openURL(t, between(t, server, func(r *http.Request) {
				if r.FormValue("comp") == "blocklist" {
					test.interfere(t, server)
				}
			}).URL("container", ""), inBlocks)
			opts := backend.OptionsOf(mine)
			opts.If = test.cond
			_, err := s.Put(t.Context(), "key", bytes.NewReader(mine), opts)
			want, ok := test.outcomes[meaning(err)]
			if !ok {
				t.Fatalf("put: %v", err)
			}
			body, _, err := s.Get(t.Context(), "key", backend.Range{})
			if err != nil {
				t.Fatal(err)
			}
			defer body.Close()
			if got, err := io.ReadAll(body); err != nil || !bytes.Equal(got, want) {
				t.Errorf("%d bytes are stored, %v; want %d others", len(got), err, len(want))
			}
		})
	}
}

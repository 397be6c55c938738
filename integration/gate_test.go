package integration

import (
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"testing"
)

// newGate starts a server that hands every request on to the one at endpoint
// and returns its own. Where they are not nil, request sees requests on their
// way in, and answer may change answers on their way out.
func newGate(t *testing.T, endpoint string, request func(*http.Request), answer func(*http.Response) error) string {
	t.Helper()
	return newDoor(t, endpoint, answer, func(r *http.Request) (status int) {
		if request != nil {
			request(r)
		}
		return 0
	})
}

// newRefusing is newGate for a server that refuses requests: with the status that
// refuse returns for a request, unless that is 0.
func newRefusing(t *testing.T, endpoint string, refuse func(*http.Request) (status int)) string {
	t.Helper()
	return newDoor(t, endpoint, nil, refuse)
}

func newDoor(t *testing.T, endpoint string, answer func(*http.Response) error, refuse func(*http.Request) (status int)) string {
	t.Helper()
	upstream, err := url.Parse(endpoint)
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(upstream)
			r.Out.Host = r.In.Host // it is signed
		},
		ModifyResponse: answer,
		ErrorLog:       log.New(io.Discard, "", 0),
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if status := refuse(r); status != 0 {
			io.Copy(io.Discard, r.Body)
			w.WriteHeader(status)
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

package backend

import (
	"net"
	"net/http"
	"strings"
	"time"
)

// ConnectTimeout is how long looking up a server's name and connecting to it may take,
// and how long TLS may take after that. It has room for one packet that is lost, and is
// far below the timeout of a request: a server that can be reached answers at once, also
// if it then takes long for the request.
const ConnectTimeout = 3 * time.Second

// LimitConnecting has t give up a server that can't be reached within a few seconds.
func LimitConnecting(t *http.Transport) {
	t.DialContext = (&net.Dialer{Timeout: ConnectTimeout}).DialContext
	t.TLSHandshakeTimeout = ConnectTimeout
}

// IsLoopback reports whether host, a name or an address, is this machine and no other can reach it.
func IsLoopback(host string) bool {
	ip := net.ParseIP(host)
	return strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}

// idleConnections is how many idle connections to one server are kept.
const idleConnections = 64

// ManyConnections has t use many connections to a server: they transfer more than one that
// all requests share. So it speaks HTTP/1.1; with HTTP/2, GODEBUG=http2debug=2, which is
// meant for the build, would also print credentials. And t takes bodies as they are.
func ManyConnections(t *http.Transport) {
	t.MaxIdleConns = 0
	t.MaxIdleConnsPerHost = idleConnections
	t.DisableCompression = true
	t.Protocols = new(http.Protocols)
	t.Protocols.SetHTTP1(true)
}

// maxHeader is how many bytes the header of an answer may have. Those of stores have a few
// hundred; errors of package net/http quote what is malformed.
const maxHeader = 64 << 10

// NewTransport returns a transport with LimitConnecting and ManyConnections. Whoever uses it
// closes its idle connections.
func NewTransport() *http.Transport {
	t := http.DefaultTransport.(*http.Transport).Clone()
	LimitConnecting(t)
	ManyConnections(t)
	t.MaxResponseHeaderBytes = maxHeader
	return t
}

// NewClient returns a client over rt that follows no redirects.
func NewClient(rt http.RoundTripper) *http.Client {
	return &http.Client{
		Transport:     rt,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

package testserver

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"
)

// Link forwards TCP connections to a server, with faults on demand. A fault stays until
// [Link.Heal], and several faults may be combined. Faults affect open connections and new
// ones. Link's methods may be called while requests run.
type Link struct {
	Endpoint string // http://host:port, to use in place of the server's

	t     testing.TB
	proxy *toxiproxy.Proxy
}

// Proxy starts a link to the server at endpoint (http://host:port). It ends with the
// test.
func Proxy(t testing.TB, endpoint string) *Link {
	t.Helper()
	upstream, err := url.Parse(endpoint)
	if err != nil {
		t.Fatal(err)
	}
	zerolog.SetGlobalLevel(zerolog.Disabled) // some toxics have no other logger
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	proxy := toxiproxy.NewProxy(server, t.Name(), "127.0.0.1:0", upstream.Host)
	if err := proxy.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(proxy.Stop)
	return &Link{Endpoint: "http://" + proxy.Listen, t: t, proxy: proxy}
}

// Latency delays all bytes that the server sends by d, as long as a round trip takes.
func (l *Link) Latency(d time.Duration) {
	l.t.Helper()
	l.add("latency", map[string]any{"latency": d.Milliseconds()})
}

// Bandwidth limits the server's answers to kib KiB a second.
func (l *Link) Bandwidth(kib int) {
	l.t.Helper()
	l.add("bandwidth", map[string]any{"rate": kib})
}

// UploadBandwidth limits requests to the server to kib KiB a second.
func (l *Link) UploadBandwidth(kib int) {
	l.t.Helper()
	l.addTo("upstream", "bandwidth", map[string]any{"rate": kib})
}

// Hang lets requests through and holds back all answers. If the server closes a
// connection, the client does not notice.
func (l *Link) Hang() {
	l.t.Helper()
	l.Latency(24 * time.Hour)
}

// Reset answers with a TCP reset.
func (l *Link) Reset() {
	l.t.Helper()
	l.add("reset_peer", map[string]any{"timeout": 0})
}

// Cut closes each connection when the server has sent the given number of bytes on it.
func (l *Link) Cut(bytes int64) {
	l.t.Helper()
	l.add("limit_data", map[string]any{"bytes": bytes})
}

// Down closes all connections and refuses new ones.
func (l *Link) Down() { l.proxy.Stop() }

// Heal ends all faults.
func (l *Link) Heal() {
	l.t.Helper()
	l.proxy.Toxics.ResetToxics(l.t.Context())
	if err := l.proxy.Start(); err != nil && err != toxiproxy.ErrProxyAlreadyStarted {
		l.t.Fatal(err)
	}
}

func (l *Link) add(kind string, attributes map[string]any) {
	l.t.Helper()
	l.addTo("downstream", kind, attributes)
}

// addTo adds a toxic to what the server sends, which is downstream, or to what it gets.
func (l *Link) addTo(stream, kind string, attributes map[string]any) {
	l.t.Helper()
	toxic, err := json.Marshal(map[string]any{"type": kind, "stream": stream, "attributes": attributes})
	if err != nil {
		l.t.Fatal(err)
	}
	if _, err := l.proxy.Toxics.AddToxicJson(strings.NewReader(string(toxic))); err != nil {
		l.t.Fatal(err)
	}
}

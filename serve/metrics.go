package serve

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// metricsScope is the name under which rules allow reading what the server counts.
const metricsScope = "@metrics"

// metrics are what the server has counted since its start, in the text format of Prometheus.
// Many goroutines may use it. It is made by hand: the client libraries cost each go command a
// millisecond of larder's start, although only the server uses them.
type metrics struct {
	mu       sync.Mutex
	requests map[requestKind]int64
	bytesIn  map[string]int64 // by interface
	bytesOut map[string]int64
	seconds  map[string]*histogram
	calls    map[callKind]int64 // of gRPC
}

// callKind is what calls of gRPC are counted by.
type callKind struct{ method, code string }

// requestKind is what requests are counted by. It has few values, whatever clients send.
type requestKind struct {
	in     string // interface: v1, cache, ac, cas, grpc or other
	method string
	status int
}

func newMetrics() *metrics {
	return &metrics{
		requests: make(map[requestKind]int64),
		bytesIn:  make(map[string]int64),
		bytesOut: make(map[string]int64),
		seconds:  make(map[string]*histogram),
		calls:    make(map[callKind]int64),
	}
}

// count counts a request that is over.
func (m *metrics) count(r *http.Request, w *loggedWriter, took time.Duration) {
	kind := requestKind{interfaceOf(r.URL.Path), r.Method, w.status}
	if w.method != "" {
		kind.in = "grpc"
	} else if !slices.Contains([]string{http.MethodGet, http.MethodHead, http.MethodPut, http.MethodDelete}, r.Method) {
		kind.method = "other"
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.requests[kind]++
	if w.method != "" {
		m.calls[callKind{w.method, w.code.String()}]++
	}
	m.bytesIn[kind.in] += w.body.n
	m.bytesOut[kind.in] += w.bytes
	if m.seconds[kind.in] == nil {
		m.seconds[kind.in] = new(histogram)
	}
	m.seconds[kind.in].add(took)
}

// interfaceOf returns which interface a path belongs to.
func interfaceOf(path string) string {
	path = strings.TrimPrefix(path, "/")
	first, _, _ := strings.Cut(path, "/")
	if first == "v1" || first == "cache" {
		return first
	}
	if e, ok := bazelEndpointOf(path).(bazelEndpoint); ok {
		return e.kind
	}
	return "other"
}

// bounds are the upper bounds of a histogram's buckets, in seconds.
var bounds = [...]float64{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30}

// histogram counts durations by how long they are.
type histogram struct {
	below [len(bounds)]int64 // how many are no longer than each bound
	n     int64
	sum   float64 // in seconds
}

func (h *histogram) add(d time.Duration) {
	h.n++
	h.sum += d.Seconds()
	for i, bound := range bounds {
		if d.Seconds() <= bound {
			h.below[i]++
		}
	}
}

// write writes everything, and how many requests are under way.
func (m *metrics) write(w io.Writer, underWay int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	p := func(format string, args ...any) { _, _ = fmt.Fprintf(w, format, args...) } // to whoever still listens
	p("# HELP larder_http_requests_total Requests that are over.\n# TYPE larder_http_requests_total counter\n")
	kinds := slices.SortedFunc(maps.Keys(m.requests), func(a, b requestKind) int {
		return cmp.Or(cmp.Compare(a.in, b.in), cmp.Compare(a.method, b.method), cmp.Compare(a.status, b.status))
	})
	for _, k := range kinds {
		p("larder_http_requests_total{interface=%q,method=%q,status=\"%d\"} %d\n", k.in, k.method, k.status, m.requests[k])
	}
	p("# HELP larder_grpc_calls_total Calls of gRPC that are over.\n# TYPE larder_grpc_calls_total counter\n")
	calls := slices.SortedFunc(maps.Keys(m.calls), func(a, b callKind) int {
		return cmp.Or(cmp.Compare(a.method, b.method), cmp.Compare(a.code, b.code))
	})
	for _, k := range calls {
		p("larder_grpc_calls_total{method=%q,code=%q} %d\n", k.method, k.code, m.calls[k])
	}
	p("# HELP larder_http_requests_under_way Requests under way.\n# TYPE larder_http_requests_under_way gauge\n")
	p("larder_http_requests_under_way %d\n", underWay)
	for _, c := range []struct {
		name, help string
		bytes      map[string]int64
	}{
		{"larder_http_received_bytes_total", "Bytes of the bodies of requests.", m.bytesIn},
		{"larder_http_sent_bytes_total", "Bytes of the bodies of answers.", m.bytesOut},
	} {
		p("# HELP %s %s\n# TYPE %[1]s counter\n", c.name, c.help)
		for _, in := range slices.Sorted(maps.Keys(c.bytes)) {
			p("%s{interface=%q} %d\n", c.name, in, c.bytes[in])
		}
	}
	p("# HELP larder_http_request_seconds How long requests took.\n# TYPE larder_http_request_seconds histogram\n")
	for _, in := range slices.Sorted(maps.Keys(m.seconds)) {
		h := m.seconds[in]
		for i, bound := range bounds {
			p("larder_http_request_seconds_bucket{interface=%q,le=\"%g\"} %d\n", in, bound, h.below[i])
		}
		p("larder_http_request_seconds_bucket{interface=%q,le=\"+Inf\"} %d\n", in, h.n)
		p("larder_http_request_seconds_sum{interface=%q} %g\n", in, h.sum)
		p("larder_http_request_seconds_count{interface=%q} %d\n", in, h.n)
	}
}

// metricsEndpoint answers with what was counted.
type metricsEndpoint struct{}

func (metricsEndpoint) serve(x *exchange) {
	if !x.allows(http.MethodGet, http.MethodHead) || !x.admits(metricsScope) {
		return
	}
	x.w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	x.metrics.write(x.w, len(x.slots))
}

package serve

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"slices"

	"github.com/larderbuild/larder/backend/tier"
)

// metricsScope is the name under which rules allow reading what the server counts.
const metricsScope = "@metrics"

// metricsEndpoint answers with what was counted, in the text format of Prometheus. It is made by
// hand: the client libraries cost each go command a millisecond of larder's start, although only
// the server uses them.
type metricsEndpoint struct{}

func (metricsEndpoint) serve(x *exchange) {
	if !x.allows(http.MethodGet, http.MethodHead) || !x.admits(metricsScope) {
		return
	}
	var b bytes.Buffer
	t := x.counts.snapshot()
	t.writeRequests(&b, len(x.slots))
	t.writeCalls(&b)
	t.writeServices(&b)
	if stored := x.stored(); stored != nil {
		stored.write(&b)
	}
	if x.Tier != nil {
		writeTier(&b, x.Tier.Stats())
	}
	x.w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	_, _ = b.WriteTo(x.w) // to whoever still listens
}

// writeTier writes what the tier has.
func writeTier(b *bytes.Buffer, s tier.Stats) {
	for _, gauge := range []struct {
		name, help string
		value      int64
	}{
		{"larder_tier_objects", "Objects in the tier.", int64(s.Objects)},
		{"larder_tier_bytes", "Bytes that the tier has of them.", s.Bytes},
		{"larder_tier_waiting_objects", "Objects in the tier that are not in the store yet.", int64(s.WaitingObjects)},
		{"larder_tier_waiting_bytes", "Bytes of objects that are not in the store yet.", s.WaitingBytes},
	} {
		metric(b, gauge.name, "gauge", gauge.help)
		fmt.Fprintf(b, "%s %d\n", gauge.name, gauge.value)
	}
}

// metric writes the lines that come before the values of a metric.
func metric(b *bytes.Buffer, name, kind, help string) {
	fmt.Fprintf(b, "# HELP %s %s\n# TYPE %[1]s %[3]s\n", name, help, kind)
}

// writeRequests writes how many requests there were and are.
func (t *tally) writeRequests(b *bytes.Buffer, underWay int) {
	metric(b, "larder_http_requests_total", "counter", "Requests that are over.")
	for _, k := range t.kinds() {
		fmt.Fprintf(b, "larder_http_requests_total{interface=%q,method=%q,status=\"%d\"} %d\n", k.in, k.method, k.status, t.requests[k])
	}
	metric(b, "larder_http_requests_under_way", "gauge", "Requests under way.")
	fmt.Fprintf(b, "larder_http_requests_under_way %d\n", underWay)
}

// writeCalls writes how many calls of gRPC there were.
func (t *tally) writeCalls(b *bytes.Buffer) {
	metric(b, "larder_grpc_calls_total", "counter", "Calls of gRPC that are over.")
	for _, k := range t.callKinds() {
		fmt.Fprintf(b, "larder_grpc_calls_total{method=%q,code=%q} %d\n", k.method, k.code, t.calls[k])
	}
}

// callKinds returns the kinds of calls that there were, in order.
func (t *tally) callKinds() []callKind {
	return slices.SortedFunc(maps.Keys(t.calls), func(a, b callKind) int {
		return cmp.Or(cmp.Compare(a.method, b.method), cmp.Compare(a.code, b.code))
	})
}

// kinds returns the kinds of requests that there were, in order.
func (t *tally) kinds() []requestKind {
	return slices.SortedFunc(maps.Keys(t.requests), func(a, b requestKind) int {
		return cmp.Or(cmp.Compare(a.in, b.in), cmp.Compare(a.method, b.method), cmp.Compare(a.status, b.status))
	})
}

// writeServices writes what came of the requests of each interface.
func (t *tally) writeServices(b *bytes.Buffer) {
	all := slices.Sorted(maps.Keys(t.served))
	metric(b, "larder_http_lookups_total", "counter", "Requests for one object, by whether it was there.")
	for _, in := range all {
		if in != other {
			fmt.Fprintf(b, "larder_http_lookups_total{interface=%q,result=\"hit\"} %d\n", in, t.served[in].Hits)
			fmt.Fprintf(b, "larder_http_lookups_total{interface=%q,result=\"miss\"} %d\n", in, t.served[in].Misses)
		}
	}
	metric(b, "larder_http_received_bytes_total", "counter", "Bytes of the bodies of requests.")
	for _, in := range all {
		fmt.Fprintf(b, "larder_http_received_bytes_total{interface=%q} %d\n", in, t.served[in].bytesIn)
	}
	metric(b, "larder_http_sent_bytes_total", "counter", "Bytes of the bodies of answers.")
	for _, in := range all {
		fmt.Fprintf(b, "larder_http_sent_bytes_total{interface=%q} %d\n", in, t.served[in].bytesOut)
	}
	metric(b, "larder_http_request_seconds", "histogram", "How long requests took.")
	for _, in := range all {
		h := &t.served[in].seconds
		for i, bound := range bounds {
			fmt.Fprintf(b, "larder_http_request_seconds_bucket{interface=%q,le=\"%g\"} %d\n", in, bound, h.below[i])
		}
		fmt.Fprintf(b, "larder_http_request_seconds_bucket{interface=%q,le=\"+Inf\"} %d\n", in, h.n)
		fmt.Fprintf(b, "larder_http_request_seconds_sum{interface=%q} %g\n", in, h.sum)
		fmt.Fprintf(b, "larder_http_request_seconds_count{interface=%q} %d\n", in, h.n)
	}
}

// write writes what lies in the store.
func (h *holdings) write(b *bytes.Buffer) {
	metric(b, "larder_store_objects", "gauge", "Objects in the store, as they were counted last.")
	for _, k := range h.Kinds {
		fmt.Fprintf(b, "larder_store_objects{kind=%q} %d\n", k.Kind, k.Objects)
	}
	metric(b, "larder_store_bytes", "gauge", "Bytes in the store, as they were counted last.")
	for _, k := range h.Kinds {
		fmt.Fprintf(b, "larder_store_bytes{kind=%q} %d\n", k.Kind, k.Bytes)
	}
}

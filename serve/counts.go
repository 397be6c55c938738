package serve

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/larderbuild/larder/grpc"
)

// counts are what the server has counted since its start. metrics.go and status.go present
// them. Many goroutines may use counts. However many requests there are, and whatever clients
// send, they take up no more than two megabytes.
type counts struct {
	mu sync.Mutex
	tally
}

// tally is what counts guards.
type tally struct {
	started  time.Time
	requests map[requestKind]int64
	calls    map[callKind]int64
	served   map[string]*service // by interface
	hour     ring[sample]        // of all interfaces but other, as everything below
	day      ring[sample]
	slow     ring[slowest] // of the same day
	missed   topKeys
}

// requestKind is what requests are counted by. It has few values, whatever clients send.
type requestKind struct {
	in     string // interface: v1, cache, ac, cas, grpc or other
	method string
	status int
}

// callKind is what calls of gRPC are counted by.
type callKind struct {
	method string // as Service/Method
	code   grpc.Code
}

// service is what came of the requests of one interface.
type service struct {
	lookups
	bytesIn  int64
	bytesOut int64
	seconds  histogram
}

// lookups say what came of requests that read one object, or ask whether it is there. Lists,
// and requests that were refused or failed, are none.
type lookups struct {
	Hits   int64 `json:"hits"`
	Misses int64 `json:"misses"`
}

// sample is what was counted during one interval of a ring.
type sample struct {
	lookups
	Requests int64 `json:"requests"`
	Errors   int64 `json:"errors"` // answers with a status from 500
	BytesIn  int64 `json:"bytes_in"`
	BytesOut int64 `json:"bytes_out"`
}

func newCounts() *counts {
	return &counts{tally: tally{
		started:  time.Now(),
		requests: make(map[requestKind]int64),
		calls:    make(map[callKind]int64),
		served:   make(map[string]*service),
		hour:     newRing[sample](time.Minute, 60),
		day:      newRing[sample](15*time.Minute, 96),
		slow:     newRing[slowest](15*time.Minute, 96),
		missed:   topKeys{at: make(map[string]int)},
	}}
}

// count counts a request that is over, and that was answered by w.
func (c *counts) count(r *http.Request, w *loggedWriter, took time.Duration) {
	in, out := w.body.n, w.bytes
	kind := requestKind{interfaceOf(r.URL.Path), r.Method, w.status}
	key := strings.TrimPrefix(r.URL.Path, "/")
	var found lookups
	call := callKind{w.method, w.code}
	failed := w.status >= 500
	if call.method != "" {
		kind.in, key = calls, call.method
		found, failed = lookupBy(call), isFault(call.code)
	} else {
		if !slices.Contains([]string{http.MethodGet, http.MethodHead, http.MethodPut, http.MethodDelete}, r.Method) {
			kind.method = "other"
		}
		found = lookupOf(kind, key)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.requests[kind]++
	if call.method != "" {
		c.calls[call]++
	}
	s := c.served[kind.in]
	if s == nil {
		s = new(service)
		c.served[kind.in] = s
	}
	s.add(found)
	s.bytesIn += in
	s.bytesOut += out
	s.seconds.add(took)
	if kind.in == other {
		return
	}
	one := sample{found, 1, 0, in, out}
	if failed {
		one.Errors = 1
	}
	age := time.Since(c.started)
	c.hour.at(age).add(one)
	c.day.at(age).add(one)
	if !isRefusal(w) { // nobody unknown fills the list
		c.slow.at(age).add(slowRequest{kind.method, key, w.status, in, out, took.Seconds(), time.Now()})
	}
	if found.Misses > 0 && kind.in != calls { // whose keys stand in messages
		c.missed.add(key)
	}
}

// isRefusal reports whether w has told somebody that the rules do not allow the request.
func isRefusal(w *loggedWriter) bool {
	return w.status == http.StatusUnauthorized || w.status == http.StatusForbidden ||
		w.code == grpc.Unauthenticated || w.code == grpc.PermissionDenied
}

// isFault reports whether a call that has ended with code has failed by a fault of the server.
func isFault(code grpc.Code) bool {
	return slices.Contains([]grpc.Code{grpc.Unknown, grpc.Unimplemented, grpc.Internal, grpc.Unavailable, grpc.DataLoss}, code)
}

// lookupBy returns what came of a call, if that is a lookup: of an action, or of a blob that
// comes as a stream. Whether the blobs of a batch were there stands in its messages.
func lookupBy(call callKind) lookups {
	switch call {
	case callKind{"ActionCache/GetActionResult", grpc.OK}, callKind{"ByteStream/Read", grpc.OK}:
		return lookups{Hits: 1}
	case callKind{"ActionCache/GetActionResult", grpc.NotFound}, callKind{"ByteStream/Read", grpc.NotFound}:
		return lookups{Misses: 1}
	}
	return lookups{}
}

// lookupOf returns what came of a request of a kind for key, if that is a lookup.
func lookupOf(kind requestKind, key string) lookups {
	if kind.method != http.MethodGet && kind.method != http.MethodHead {
		return lookups{}
	}
	_, rest, _ := strings.Cut(key, "/")
	switch {
	case kind.in == other,
		rest == "", strings.HasSuffix(rest, "/"), // a list
		kind.in == "cache" && strings.Contains(rest, "/"): // no key
		return lookups{}
	}
	switch kind.status {
	case http.StatusOK, http.StatusPartialContent, http.StatusNotModified:
		return lookups{Hits: 1}
	case http.StatusNotFound:
		return lookups{Misses: 1}
	}
	return lookups{}
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
	return other
}

const (
	other = "other" // the interface of paths that belong to none
	calls = "grpc"  // that of calls
)

func (l *lookups) add(m lookups) {
	l.Hits += m.Hits
	l.Misses += m.Misses
}

func (s *sample) add(t sample) {
	s.lookups.add(t.lookups)
	s.Requests += t.Requests
	s.Errors += t.Errors
	s.BytesIn += t.BytesIn
	s.BytesOut += t.BytesOut
}

// snapshot returns a copy of what was counted. Nobody else uses it, so a slow reader of it
// holds up no requests.
func (c *counts) snapshot() tally {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := c.tally
	t.requests, t.calls = maps.Clone(t.requests), maps.Clone(t.calls)
	t.served = maps.Clone(t.served)
	for in, s := range t.served {
		copied := *s
		t.served[in] = &copied
	}
	age := time.Since(t.started)
	t.hour, t.day, t.slow = t.hour.clone(age), t.day.clone(age), t.slow.clone(age)
	newest := t.slow.at(age)
	*newest = slices.Clone(*newest) // the others don't change any more
	t.missed = topKeys{keys: t.missed.repeated()}
	return t
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

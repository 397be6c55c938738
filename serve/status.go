package serve

import (
	"bytes"
	"cmp"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"time"
)

// status is what the server tells of itself, for the page at /. Lists are the empty list
// instead of null.
type status struct {
	Now      time.Time       `json:"now"`
	Started  time.Time       `json:"started"`
	UnderWay int             `json:"under_way"`
	Requests []requestStatus `json:"requests"`
	Calls    []callStatus    `json:"calls"`  // which are among the requests
	Served   []serviceStatus `json:"served"` // by interface
	Hour     series          `json:"hour"`
	Day      series          `json:"day"`
	Slowest  []slowRequest   `json:"slowest"` // of that day, the slowest one first
	Missed   []missedKey     `json:"missed"`  // since the start, the most missed one first
	Stored   *holdings       `json:"stored,omitempty"`
}

type requestStatus struct {
	Interface string `json:"interface"`
	Method    string `json:"method"`
	Status    int    `json:"status"` // 0: the client was gone before there was one
	Count     int64  `json:"count"`
}

type callStatus struct {
	Method string `json:"method"` // as Service/Method
	Code   string `json:"code"`
	Fault  bool   `json:"fault"` // whether that is a fault of the server
	Count  int64  `json:"count"`
}

type serviceStatus struct {
	Interface string `json:"interface"`
	lookups
	BytesIn  int64 `json:"bytes_in"`
	BytesOut int64 `json:"bytes_out"`
}

// series are the last intervals, the oldest one first. The last one is not over yet.
type series struct {
	Seconds   int      `json:"seconds"`   // of an interval
	Intervals int      `json:"intervals"` // how many there are once the server is old enough
	Samples   []sample `json:"samples"`
}

func newSeries(r ring[sample]) series {
	return series{int(r.width / time.Second), len(r.slots), r.all()}
}

// newStatus returns what t tells.
func newStatus(t tally, underWay int, stored *holdings) *status {
	s := &status{
		Now: time.Now(), Started: t.started, UnderWay: underWay, Stored: stored,
		Requests: []requestStatus{}, Calls: []callStatus{}, Served: []serviceStatus{}, Slowest: []slowRequest{},
		Hour: newSeries(t.hour), Day: newSeries(t.day), Missed: t.missed.list(),
	}
	for _, k := range t.kinds() {
		s.Requests = append(s.Requests, requestStatus{k.in, k.method, k.status, t.requests[k]})
	}
	for _, k := range t.callKinds() {
		s.Calls = append(s.Calls, callStatus{k.method, k.code.String(), isFault(k.code), t.calls[k]})
	}
	for _, in := range slices.Sorted(maps.Keys(t.served)) {
		one := t.served[in]
		s.Served = append(s.Served, serviceStatus{in, one.lookups, one.bytesIn, one.bytesOut})
	}
	for _, list := range t.slow.slots {
		s.Slowest = append(s.Slowest, list...)
	}
	slices.SortFunc(s.Slowest, func(a, b slowRequest) int { return cmp.Compare(b.Seconds, a.Seconds) })
	s.Slowest = s.Slowest[:min(len(s.Slowest), listLength)]
	return s
}

// statusEndpoint answers with what was counted, in JSON, for the page at /.
type statusEndpoint struct{}

func (statusEndpoint) serve(x *exchange) {
	h := x.w.Header()
	// A browser that may send a password would ask for one by itself, ahead of the page.
	h["Www-Authenticate"] = []string{`Bearer realm="larder"`}
	if !x.allows(http.MethodGet, http.MethodHead) || !x.admits(metricsScope) {
		return
	}
	h.Del("Www-Authenticate")
	var b bytes.Buffer
	if err := json.NewEncoder(&b).Encode(newStatus(x.counts.snapshot(), len(x.slots), x.stored())); err != nil {
		x.refuse(err)
		return
	}
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	_, _ = b.WriteTo(x.w) // to whoever still listens
}

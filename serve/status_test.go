package serve_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/larderbuild/larder/backend/backendtest"
	"github.com/larderbuild/larder/serve"
)

// told is what the tests read of /status.
type told struct {
	Requests []struct {
		Interface, Method string
		Status            int
		Count             int64
	}
	Served []struct {
		sample
		Interface string
	}
	Hour, Day struct{ Samples []sample }
	Slowest   []struct {
		Method, Key string
		Seconds     float64
	}
	Missed []struct {
		Key     string
		AtLeast int64 `json:"at_least"`
	}
	Stored *struct {
		Kinds []struct {
			Kind           string
			Objects, Bytes int64
		}
	}
}

type sample struct {
	Hits, Misses, Requests, Errors int64
	BytesIn                        int64 `json:"bytes_in"`
	BytesOut                       int64 `json:"bytes_out"`
}

// request has s answer a request.
func request(s http.Handler, method, path, body string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("Content-Md5", md5Of(body))
	for _, line := range header {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

// statusOf returns what s tells of itself, and the size of the answer.
func statusOf(t *testing.T, s http.Handler) (st told, size int) {
	t.Helper()
	w := request(s, http.MethodGet, "/status", "")
	if w.Code != http.StatusOK {
		t.Fatalf("status %d: %s", w.Code, w.Body)
	}
	size = w.Body.Len()
	if err := json.Unmarshal(w.Body.Bytes(), &st); err != nil {
		t.Fatal(err)
	}
	return st, size
}

// TestStatus: what is a hit and what a miss, and that /status and /metrics say the same.
func TestStatus(t *testing.T) {
	t.Parallel()
	s := serve.New(memoryConfig(t, noFault))
	sum := sha256Of("hello")
	tag := fmt.Sprintf(`"sha256:%s"`, sum)
	for _, r := range []struct {
		method, path, body, header string
		status                     int
		in                         string
		hits, misses               int64
	}{
		{"PUT", "/v1/main/key", "hello", "", 201, "v1", 0, 0},
		{"GET", "/v1/main/key", "", "", 200, "v1", 1, 0},
		{"HEAD", "/v1/main/key", "", "", 200, "v1", 2, 0},
		{"GET", "/v1/main/key", "", "Range: bytes=1-2", 206, "v1", 3, 0},
		{"GET", "/v1/main/none", "", "", 404, "v1", 3, 1},
		{"GET", "/v1/main/?list=", "", "", 200, "v1", 3, 1},
		{"GET", "/v1/main/", "", "", 404, "v1", 3, 1},
		{"GET", "/v1", "", "", 404, "v1", 3, 1},
		{"DELETE", "/v1/main/none", "", "", 204, "v1", 3, 1},
		{"PUT", "/cache/key", "hello", "", 201, "cache", 0, 0},
		{"GET", "/cache/key", "", "If-None-Match: " + tag, 304, "cache", 1, 0},
		{"HEAD", "/cache/none", "", "", 404, "cache", 1, 1},
		{"GET", "/cache/no/key", "", "", 404, "cache", 1, 1},
		{"GET", "/cache/key", "", `If-Match: "another"`, 412, "cache", 1, 1},
		{"PUT", "/cas/" + sum, "hello", "", 201, "cas", 0, 0},
		{"GET", "/instance/cas/" + sum, "", "", 200, "cas", 1, 0},
		{"GET", "/ac/" + sum, "", "", 404, "ac", 0, 1},
		{"GET", "/ac/short", "", "", 400, "ac", 0, 1},
	} {
		if w := request(s, r.method, r.path, r.body, r.header); w.Code != r.status {
			t.Fatalf("%s %s: status %d, want %d: %s", r.method, r.path, w.Code, r.status, w.Body)
		}
		st, _ := statusOf(t, s)
		for _, one := range st.Served {
			if one.Interface == r.in && (one.Hits != r.hits || one.Misses != r.misses) {
				t.Errorf("%s %s %s: %d hits, %d misses; want %d, %d", r.method, r.path, r.header, one.Hits, one.Misses, r.hits, r.misses)
			}
		}
	}
	st, _ := statusOf(t, s)
	metrics := request(s, http.MethodGet, "/metrics", "").Body.String()
	var total sample
	said := func(format string, args ...any) {
		t.Helper()
		if line := fmt.Sprintf(format, args...); !strings.Contains(metrics, line+"\n") {
			t.Errorf("/metrics lacks %s", line)
		}
	}
	for _, one := range st.Served {
		if one.Interface == "other" { // among them are the requests of this test
			continue
		}
		said(`larder_http_lookups_total{interface=%q,result="hit"} %d`, one.Interface, one.Hits)
		said(`larder_http_lookups_total{interface=%q,result="miss"} %d`, one.Interface, one.Misses)
		said(`larder_http_received_bytes_total{interface=%q} %d`, one.Interface, one.BytesIn)
		said(`larder_http_sent_bytes_total{interface=%q} %d`, one.Interface, one.BytesOut)
		total.Hits += one.Hits
		total.Misses += one.Misses
		total.BytesIn += one.BytesIn
		total.BytesOut += one.BytesOut
	}
	for _, one := range st.Requests {
		if one.Interface != "other" {
			said(`larder_http_requests_total{interface=%q,method=%q,status="%d"} %d`, one.Interface, one.Method, one.Status, one.Count)
			total.Requests += one.Count
		}
	}
	if total.Requests != 18 || !slices.Equal(st.Hour.Samples, []sample{total}) || !slices.Equal(st.Day.Samples, []sample{total}) {
		t.Errorf("%+v and %+v, want %+v", st.Hour, st.Day, total)
	}
}

// TestStatusOverTime: the rings have what was counted in each of their intervals, and forget.
func TestStatusOverTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		slow := time.Duration(0)
		s := serve.New(memoryConfig(t, func(string, string) backendtest.Fault {
			time.Sleep(slow)
			return backendtest.Fault{}
		}))
		get := func(n int, took time.Duration) {
			slow = took
			for range n {
				request(s, http.MethodGet, fmt.Sprintf("/v1/s/%v", took), "")
			}
		}
		perInterval := func(samples []sample) (counts []int64) {
			for _, one := range samples {
				counts = append(counts, one.Misses)
			}
			return counts
		}
		get(3, 2*time.Second)
		time.Sleep(time.Minute)
		get(1, 3*time.Second)
		time.Sleep(2 * time.Minute)
		get(listed, time.Second)
		st, _ := statusOf(t, s)
		if got := perInterval(st.Hour.Samples); !slices.Equal(got, []int64{3, 1, 0, listed}) {
			t.Errorf("of the first minutes: %d", got)
		}
		if len(st.Slowest) != listed || st.Slowest[0].Key != "v1/s/3s" || st.Slowest[3].Key != "v1/s/2s" || st.Slowest[4].Key != "v1/s/1s" {
			t.Errorf("the slowest: %+v", st.Slowest)
		}
		time.Sleep(time.Hour)
		get(5, 0)
		st, _ = statusOf(t, s)
		if got := perInterval(st.Hour.Samples); len(got) != 60 || got[59] != 5 || slices.Max(got[:59]) != 0 {
			t.Errorf("an hour later: %d", got)
		}
		if got := perInterval(st.Day.Samples); !slices.Equal(got, []int64{4 + listed, 0, 0, 0, 5}) {
			t.Errorf("of the day: %d", got)
		}
		time.Sleep(24*time.Hour - 30*time.Minute)
		st, _ = statusOf(t, s)
		if got := perInterval(st.Day.Samples); len(got) != 96 || !slices.Equal(got[:3], []int64{0, 5, 0}) || len(st.Slowest) != 5 {
			t.Errorf("a day later: %d, %+v", got, st.Slowest)
		}
		time.Sleep(10 * 24 * time.Hour)
		if st, _ = statusOf(t, s); slices.Max(perInterval(st.Day.Samples)) != 0 || len(st.Slowest) != 0 {
			t.Errorf("after ten days without requests: %+v", st)
		}
	})
}

// listed is how many keys or requests a list has at most.
const listed = 10

// TestStatusBounded: whatever clients ask for, what the server tells stays small, and has the key
// that is missed most.
func TestStatusBounded(t *testing.T) {
	t.Parallel()
	s := serve.New(memoryConfig(t, noFault))
	long := strings.Repeat("long/", 180)
	for i := range 8000 {
		request(s, http.MethodGet, fmt.Sprintf("/v1/main/%s%d", long, i), "")
		request(s, fmt.Sprintf("METHOD%d", i), fmt.Sprintf("/cache/made-up-%d", i), "")
		if i%20 == 0 {
			request(s, http.MethodGet, "/v1/main/often/"+long+"end", "")
		}
	}
	st, size := statusOf(t, s)
	if size > 16<<10 {
		t.Errorf("%d bytes", size)
	}
	if len(st.Missed) == 0 || len(st.Missed) > listed {
		t.Fatalf("%d keys", len(st.Missed))
	}
	first := st.Missed[0]
	if !strings.HasPrefix(first.Key, "v1/main/often/long/") || !strings.HasSuffix(first.Key, "long/end") || first.AtLeast < 2 || first.AtLeast > 400 {
		t.Errorf("missed most: %+v", first)
	}
	for _, slow := range st.Slowest {
		if slow.Method != http.MethodGet && slow.Method != "other" {
			t.Errorf("a method that a client made up: %s", slow.Method)
		}
	}
	for _, missed := range st.Missed {
		if len(missed.Key) > 100 {
			t.Errorf("%d bytes: %s", len(missed.Key), missed.Key)
		}
	}
}

// TestStatusMemory: what is kept of requests is short, although the requests are long.
func TestStatusMemory(t *testing.T) { // alone, since it looks at the heap of all tests
	s := serve.New(memoryConfig(t, noFault))
	heap := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before := heap()
	for i := range 2000 {
		request(s, http.MethodGet, fmt.Sprintf("/v1/main/%d?%s", i, strings.Repeat("long", 8<<10)), "")
	}
	if grown := heap() - before; grown > 4<<20 {
		t.Errorf("the heap has grown by %d bytes", grown)
	}
	statusOf(t, s) // it is in use until here
}

// TestStatusAccess: the page is everybody's, and what it shows needs the right to read @metrics.
// A server of this machine answers neither under another name.
func TestStatusAccess(t *testing.T) {
	t.Parallel()
	rules, err := serve.ParseRules([]byte(`{"anonymous": {"write": ["main"]}, "tokens": [{"token": "dashboard", "read": ["@metrics"]}, {"token": "build", "write": ["main", "@cache"]}]}`))
	if err != nil {
		t.Fatal(err)
	}
	cfg := memoryConfig(t, noFault)
	cfg.Access = serve.NewAccess(rules, slog.New(slog.DiscardHandler))
	cfg.Local = true
	s := serve.New(cfg)
	for _, test := range []struct {
		name, path, host, token string
		status                  int
	}{
		{"nobody", "/status", "localhost", "", 401},
		{"unknown", "/status", "localhost", "guess", 401},
		{"another right", "/status", "localhost", "build", 403},
		{"the right", "/status", "127.0.0.1:8080", "dashboard", 200},
		{"another name", "/status", "rebound.example", "dashboard", 421},
		{"the page", "/", "localhost", "", 200},
		{"the page by another name", "/", "rebound.example", "", 421},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodGet, test.path, nil)
			r.Host = test.host
			if test.token != "" {
				r.Header.Set("Authorization", "Bearer "+test.token)
			}
			w := httptest.NewRecorder()
			s.ServeHTTP(w, r)
			if w.Code != test.status {
				t.Errorf("status %d, want %d", w.Code, test.status)
			}
			if ways := w.Header()["Www-Authenticate"]; test.status == 401 && !slices.Equal(ways, []string{`Bearer realm="larder"`}) {
				t.Errorf("a browser would ask by itself: %q", ways)
			}
		})
	}
}

// TestPageHeaders: the page runs nothing but its own script, and no other page may show it.
func TestPageHeaders(t *testing.T) {
	t.Parallel()
	s := serve.New(memoryConfig(t, noFault))
	w := request(s, http.MethodGet, "/", "")
	policy := w.Header().Get("Content-Security-Policy")
	for _, part := range []string{"default-src 'none'; ", "script-src 'sha256-", "style-src 'sha256-", "; frame-ancestors 'none'"} {
		if !strings.Contains(policy, part) {
			t.Errorf("the policy lacks %q: %s", part, policy)
		}
	}
	if strings.Contains(policy, "unsafe") {
		t.Errorf("the policy: %s", policy)
	}
	for name, want := range map[string]string{
		"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Content-Type": "text/html; charset=utf-8",
	} {
		if got := w.Header().Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if got := request(s, http.MethodPost, "/", "").Code; got != http.StatusMethodNotAllowed {
		t.Errorf("POST: %d", got)
	}
	if w := request(s, http.MethodGet, "/status", ""); w.Header().Get("Cache-Control") != "no-store" || w.Header().Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("of the data: %v", w.Header())
	}
}

// TestSurvey: objects are counted by their kind, and Evict counts what it leaves.
func TestSurvey(t *testing.T) {
	t.Parallel()
	cfg := memoryConfig(t, noFault)
	cfg.Evicts = true
	s := serve.New(cfg)
	if st, _ := statusOf(t, s); st.Stored != nil {
		t.Errorf("before it is counted: %+v", st.Stored)
	}
	for i, key := range []string{"v1/main/p/ab/abcd", "v1/main/m/v5/module/profile", "v1/main/a/cd/cdef", "v1/main/a/ef/ef01", "v1/main/l/module/profile", "v1/@gc", "cache/key", "ac/key", "cas/key"} {
		backendtest.PutBytes(t, cfg.Store, key, make([]byte, i+1))
	}
	if err := s.Survey(t.Context()); err != nil {
		t.Fatal(err)
	}
	kinds := func() string {
		st, _ := statusOf(t, s)
		metrics := request(s, http.MethodGet, "/metrics", "").Body.String()
		for _, k := range st.Stored.Kinds {
			for _, line := range []string{
				fmt.Sprintf("larder_store_objects{kind=%q} %d\n", k.Kind, k.Objects),
				fmt.Sprintf("larder_store_bytes{kind=%q} %d\n", k.Kind, k.Bytes),
			} {
				if !strings.Contains(metrics, line) {
					t.Errorf("/metrics lacks %s", line)
				}
			}
		}
		return fmt.Sprint(st.Stored.Kinds)
	}
	if got, want := kinds(), "[{packs 1 1} {manifests 1 2} {entries 2 7} {others 2 11} {cache 1 7} {ac 1 8} {cas 1 9}]"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if e, err := s.Evict(t.Context(), 30, 24*time.Hour); err != nil || e.Objects != 2 {
		t.Fatalf("%+v, %v", e, err)
	}
	if got, want := kinds(), "[{packs 1 1} {manifests 1 2} {entries 2 7} {others 2 11} {cache 0 0} {ac 0 0} {cas 1 9}]"; got != want {
		t.Errorf("after Evict: %s, want %s", got, want)
	}
}

package serve_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/larderbuild/larder/backend/backendtest"
	"github.com/larderbuild/larder/backend/tier"
	"github.com/larderbuild/larder/serve"
)

// TestMetrics: requests are counted by what they are and what came of them. Paths and methods
// that clients make up add no lines.
func TestMetrics(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	rules, err := serve.ParseRules([]byte(`{"anonymous": {"write": ["main"]}, "tokens": [{"token": "prometheus", "read": ["@metrics"]}]}`))
	if err != nil {
		t.Fatal(err)
	}
	store, err := tier.Open(backendtest.Memory(), tier.Config{
		Dir: t.TempDir(), MaxSize: 1 << 20, Immutable: func(string) bool { return false }, Log: log,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	server := serve.New(serve.Config{
		Store: store, Tier: store, Access: serve.NewAccess(rules, log), MaxObject: 1 << 20, Requests: 2, Progress: time.Minute, Log: log,
	})
	ask := func(method, path, token, body string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(method, path, strings.NewReader(body))
		r.Header.Set("Content-Md5", "XrY7u+Ae7tCTyyK7j1rNww==") // of hello world
		if token != "" {
			r.Header.Set("Authorization", "Bearer "+token)
		}
		w := httptest.NewRecorder()
		server.ServeHTTP(w, r)
		return w
	}
	ask(http.MethodPut, "/v1/main/key", "", "hello world")
	ask(http.MethodGet, "/v1/main/key", "", "")
	ask(http.MethodGet, "/v1/main/key", "", "")
	ask(http.MethodGet, "/v1/main/missing", "", "")
	for _, made := range []string{"BREW", "PROPFIND"} {
		ask(made, "/"+made, "", "")
	}
	if w := ask(http.MethodGet, "/metrics", "", ""); w.Code != http.StatusUnauthorized {
		t.Errorf("without a token: %d", w.Code)
	}
	got := ask(http.MethodGet, "/metrics", "prometheus", "").Body.String()
	for _, line := range []string{
		`# HELP larder_http_requests_total Requests that are over.`,
		`# TYPE larder_http_requests_total counter`,
		`# TYPE larder_http_lookups_total counter`,
		`# TYPE larder_http_requests_under_way gauge`,
		`# TYPE larder_http_request_seconds histogram`,
		`larder_http_requests_total{interface="other",method="GET",status="401"} 1`,
		`larder_http_requests_total{interface="other",method="other",status="404"} 2`,
		`larder_http_requests_total{interface="v1",method="GET",status="200"} 2`,
		`larder_http_requests_total{interface="v1",method="GET",status="404"} 1`,
		`larder_http_requests_total{interface="v1",method="PUT",status="201"} 1`,
		`larder_http_requests_under_way 0`,
		`larder_http_received_bytes_total{interface="v1"} 11`,
		`larder_http_sent_bytes_total{interface="v1"} 32`, // twice, and "not found"
		`larder_http_request_seconds_bucket{interface="v1",le="+Inf"} 4`,
		`larder_http_request_seconds_count{interface="v1"} 4`,
		`larder_tier_objects 1`,
		`# TYPE larder_tier_waiting_bytes gauge`,
	} {
		if !strings.Contains(got, line+"\n") {
			t.Errorf("%s is missing", line)
		}
	}
	if t.Failed() {
		t.Log(got)
	}
}

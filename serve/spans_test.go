package serve_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"

	"github.com/larderbuild/larder/backend/backendtest"
	"github.com/larderbuild/larder/serve"
	"github.com/larderbuild/larder/trace"
	ourtracetest "github.com/larderbuild/larder/trace/tracetest"
)

// traced is a server whose spans a collector gets.
type traced struct {
	*httptest.Server
	collector *ourtracetest.Collector
	tracer    *trace.Tracer
}

func openTraced(t *testing.T, plan func(op, key string) backendtest.Fault, collect http.HandlerFunc) *traced {
	t.Helper()
	s := &traced{collector: new(ourtracetest.Collector)}
	if collect == nil {
		collect = s.collector.ServeHTTP
	}
	collector := httptest.NewServer(collect)
	t.Cleanup(collector.Close)
	log := slog.New(slog.DiscardHandler)
	cfg, on := trace.FromVariables(func(name string) string {
		return map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": collector.URL, "OTEL_BSP_MAX_QUEUE_SIZE": "100"}[name]
	}, "v1", log)
	if !on {
		t.Fatal("there is no tracer")
	}
	s.tracer = trace.New(cfg, log)
	t.Cleanup(func() { s.tracer.Shutdown(context.Background()) })
	served := memoryConfig(t, plan)
	served.Tracer = s.tracer
	s.Server = httptest.NewServer(serve.New(served))
	t.Cleanup(s.Close)
	return s
}

// send sends a request by client, and returns the status of the answer.
func (s *traced) send(t *testing.T, client *http.Client, method, path, body string) int {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, s.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("User-Agent", "test/1")
	if method == http.MethodPut {
		r.Header.Set("Content-Md5", md5Of(body))
	}
	res, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, res.Body) // an answer may break off
	return res.StatusCode
}

// spans ends the server, and returns its spans, the first one first.
func (s *traced) spans(t *testing.T) []*tracepb.Span {
	t.Helper()
	s.Close()
	s.tracer.Shutdown(t.Context())
	if _, err := s.collector.Requests(); err != nil {
		t.Error(err)
	}
	spans := s.collector.Spans()
	slices.SortStableFunc(spans, func(a, b *tracepb.Span) int { return int(a.Kind) - int(b.Kind) })
	return spans
}

// show returns a span as a line: its name, its kind, what has failed, and its attributes without
// those called but.
func show(span *tracepb.Span, but ...string) string {
	line := span.Name + " " + strings.TrimPrefix(span.Kind.String(), "SPAN_KIND_")
	if span.Status.GetCode() == tracepb.Status_STATUS_CODE_ERROR {
		line += fmt.Sprintf(" failed %q", span.Status.Message)
	}
	attributes := ourtracetest.Attributes(span.Attributes)
	for _, name := range slices.Sorted(maps.Keys(attributes)) {
		if !slices.Contains(but, name) {
			line += fmt.Sprintf(" %s=%v", name, attributes[name])
		}
	}
	return line
}

// TestSpans: each request has a span, and each request to the store one below it.
func TestSpans(t *testing.T) {
	t.Parallel()
	sum := sha256Of("hello")
	for _, test := range []struct {
		name, method, path, body string
		fault                    backendtest.Fault
		status                   int
		want                     []string // spans as show has them, without what all requests have
	}{
		{name: "put", method: "PUT", path: "/v1/main/a", body: "hello", status: 201, want: []string{
			"PUT /v1/{key} SERVER http.request.method=PUT http.response.status_code=201 http.route=/v1/{key} url.path=/v1/main/a",
			"store put CLIENT larder.store.bytes=5 larder.store.key=v1/main/a larder.store.operation=put larder.store.outcome=ok",
		}},
		{name: "missing", method: "GET", path: "/v1/main/a", status: 404, want: []string{
			"GET /v1/{key} SERVER http.request.method=GET http.response.status_code=404 http.route=/v1/{key} url.path=/v1/main/a",
			"store get CLIENT larder.store.bytes=0 larder.store.key=v1/main/a larder.store.operation=get larder.store.outcome=not found",
		}},
		{name: "delete", method: "DELETE", path: "/v1/main/a", status: 204, want: []string{
			"DELETE /v1/{key} SERVER http.request.method=DELETE http.response.status_code=204 http.route=/v1/{key} url.path=/v1/main/a",
			"store delete CLIENT larder.store.bytes=0 larder.store.key=v1/main/a larder.store.operation=delete larder.store.outcome=ok",
		}},
		{name: "list", method: "GET", path: "/v1/main/?list=&token=s3cret", status: 200, want: []string{
			"GET /v1/{key} SERVER http.request.method=GET http.response.status_code=200 http.route=/v1/{key} url.path=/v1/main/",
			"store list CLIENT larder.store.key=v1/main/ larder.store.objects=0 larder.store.operation=list larder.store.outcome=ok",
		}},
		{name: "fault", method: "GET", path: "/v1/main/a", fault: backendtest.Fault{Err: errors.New("out of order")}, status: 502, want: []string{
			"GET /v1/{key} SERVER failed \"\" error.type=502 http.request.method=GET http.response.status_code=502 http.route=/v1/{key} url.path=/v1/main/a",
			"store get CLIENT failed \"get v1/main/a: out of order\" error.type=failed larder.store.bytes=0 larder.store.key=v1/main/a larder.store.operation=get larder.store.outcome=failed",
		}},
		{name: "cache", method: "GET", path: "/cache/key", status: 404, want: []string{
			"GET /cache/{key} SERVER http.request.method=GET http.response.status_code=404 http.route=/cache/{key} url.path=/cache/key",
			"store get CLIENT larder.store.bytes=0 larder.store.key=cache/key larder.store.operation=get larder.store.outcome=not found",
		}},
		{name: "blob", method: "GET", path: "/name/cas/" + sum, status: 404, want: []string{
			"GET /cas/{sha256} SERVER http.request.method=GET http.response.status_code=404 http.route=/cas/{sha256} url.path=/name/cas/" + sum,
			"store get CLIENT larder.store.bytes=0 larder.store.key=cas/" + sum + " larder.store.operation=get larder.store.outcome=not found",
		}},
		{name: "no such path", method: "POST", path: "/what", status: 404, want: []string{
			"POST SERVER http.request.method=POST http.response.status_code=404 url.path=/what",
		}},
		{name: "no such method", method: "BREW", path: "/cache/key", status: 405, want: []string{
			"HTTP /cache/{key} SERVER http.request.method=_OTHER http.request.method_original=BREW http.response.status_code=405 http.route=/cache/{key} url.path=/cache/key",
		}},
		{name: "metrics", method: "GET", path: "/metrics", status: 200},
		{name: "health", method: "GET", path: "/healthz", status: 200},
		{name: "readiness", method: "GET", path: "/readyz", status: 200},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			common := map[string]any{ // what all requests have
				"client.address": "127.0.0.1", "server.address": "127.0.0.1", "server.port": 0, "url.scheme": "http",
				"user_agent.original": "test/1", "network.protocol.version": "1.1",
			}
			s := openTraced(t, func(string, string) backendtest.Fault { return test.fault }, nil)
			if status := s.send(t, s.Client(), test.method, test.path, test.body); status != test.status {
				t.Errorf("status %d", status)
			}
			var got []string
			spans := s.spans(t)
			for _, span := range spans {
				got = append(got, show(span, slices.Collect(maps.Keys(common))...))
				if string(span.TraceId) != string(spans[0].TraceId) || span.Kind == tracepb.Span_SPAN_KIND_CLIENT && string(span.ParentSpanId) != string(spans[0].SpanId) {
					t.Errorf("the span is not below that of the request: %v", span)
				}
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(test.want, "\n"))
			}
			if len(spans) == 0 {
				return
			}
			common["server.port"] = port(t, s.URL)
			attributes := ourtracetest.Attributes(spans[0].Attributes)
			for name, want := range common {
				if attributes[name] != want {
					t.Errorf("%s is %v, want %v", name, attributes[name], want)
				}
			}
		})
	}
}

// port returns that of a URL.
func port(t *testing.T, server string) int64 {
	t.Helper()
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.ParseInt(u.Port(), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestSpanOfBrokenAnswer: the store's fault shows in its span, although the answer has begun.
func TestSpanOfBrokenAnswer(t *testing.T) {
	t.Parallel()
	s := openTraced(t, func(op, _ string) backendtest.Fault {
		if op == "get" {
			return backendtest.Fault{Break: errors.New("out of order")}
		}
		return backendtest.Fault{}
	}, nil)
	s.send(t, s.Client(), http.MethodPut, "/v1/main/a", strings.Repeat("hello", 1000))
	s.send(t, s.Client(), http.MethodGet, "/v1/main/a", "")
	for _, span := range s.spans(t) {
		if span.Name != "store get" {
			continue
		}
		if span.Status.GetCode() != tracepb.Status_STATUS_CODE_ERROR || ourtracetest.Attributes(span.Attributes)["larder.store.bytes"] != int64(2500) {
			t.Error(show(span))
		}
		return
	}
	t.Error("the store has no span")
}

// TestOpenTelemetryClient: the span of a request belongs to the trace of a client that uses
// OpenTelemetry's own libraries, and is missing if the client does not sample that.
func TestOpenTelemetryClient(t *testing.T) {
	t.Parallel()
	for name, sampler := range map[string]sdktrace.Sampler{"sampled": sdktrace.AlwaysSample(), "not sampled": sdktrace.NeverSample()} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := openTraced(t, noFault, nil)
			kept := tracetest.NewInMemoryExporter()
			provider := sdktrace.NewTracerProvider(sdktrace.WithSyncer(kept), sdktrace.WithSampler(sampler))
			client := &http.Client{Transport: otelhttp.NewTransport(s.Client().Transport,
				otelhttp.WithTracerProvider(provider), otelhttp.WithPropagators(propagation.TraceContext{}))}
			s.send(t, client, http.MethodPut, "/v1/main/a", "hello")
			theirs, ours := kept.GetSpans(), s.spans(t)
			if name == "not sampled" {
				if len(theirs)+len(ours) > 0 {
					t.Errorf("%d spans", len(theirs)+len(ours))
				}
				return
			}
			if len(theirs) != 1 || len(ours) != 2 {
				t.Fatalf("%d and %d spans", len(theirs), len(ours))
			}
			at := theirs[0].SpanContext
			if at.TraceID() != [16]byte(ours[0].TraceId) || at.SpanID() != [8]byte(ours[0].ParentSpanId) {
				t.Errorf("the client's is %v, the server's %v", at, ours[0])
			}
		})
	}
}

// TestCollectorHangs: requests are answered while the collector answers nothing, and more of them
// than the queue has room for.
func TestCollectorHangs(t *testing.T) {
	t.Parallel()
	hangs := make(chan bool)
	s := openTraced(t, noFault, func(http.ResponseWriter, *http.Request) { <-hangs })
	defer close(hangs)
	for range 300 {
		if status := s.send(t, s.Client(), http.MethodGet, "/v1/main/a", ""); status != http.StatusNotFound {
			t.Fatalf("status %d", status)
		}
	}
}

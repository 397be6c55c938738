package trace_test

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/propagation"
	oteltrace "go.opentelemetry.io/otel/trace"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"

	"github.com/larderbuild/larder/trace"
	"github.com/larderbuild/larder/trace/tracetest"
)

const (
	traceID = "0af7651916cd43dd8448eb211c80319c"
	spanID  = "b7ad6b7169203331"
	usual   = "00-" + traceID + "-" + spanID + "-01"
)

// serve returns the span of a request with a header, as the collector gets it.
func (r *rig) serve(t *testing.T, h http.Header) *tracepb.Span {
	t.Helper()
	_, span := r.Serve(t.Context(), h, "request")
	span.End()
	r.Shutdown(t.Context())
	spans := r.collector.Spans()
	if len(spans) != 1 {
		t.Fatalf("%d spans, %s", len(spans), r.log)
	}
	return spans[0]
}

// TestParent: a request joins the trace that its header names, where W3C Trace Context says so.
// OpenTelemetry's own propagator agrees.
func TestParent(t *testing.T) {
	t.Parallel()
	rest := strings.TrimPrefix(usual, "00")
	for _, test := range []struct {
		name   string
		values []string // of traceparent
		joins  bool
		flags  uint32
		alone  bool // the propagator says something else
	}{
		{"none", nil, false, 1, false},
		{"sampled", []string{usual}, true, 1, false},
		{"not sampled", []string{strings.TrimSuffix(usual, "1") + "0"}, true, 1, false}, // the server samples it anyway
		{"random", []string{strings.TrimSuffix(usual, "1") + "3"}, true, 3, false},
		{"unknown flags", []string{strings.TrimSuffix(usual, "01") + "fd"}, true, 1, true}, // the standard has them ignored
		{"empty", []string{""}, false, 1, false},
		{"twice", []string{usual, usual}, false, 1, true}, // the propagator reads the first
		{"a future version", []string{"01" + rest}, true, 1, false},
		{"the last version", []string{"fe" + rest}, true, 1, false},
		{"a future version with more", []string{"cc" + rest + "-what-may-come"}, true, 1, false},
		{"a future version with more, not after a hyphen", []string{"cc" + rest + ".what"}, false, 1, false},
		{"an impossible version", []string{"ff" + rest}, false, 1, false},
		{"version 00 with more", []string{usual + "-more"}, false, 1, false},
		{"version 00 with a hyphen", []string{usual + "-"}, false, 1, true},
		{"no hexadecimal version", []string{".0" + rest}, false, 1, false},
		{"a short version", []string{"0" + rest}, false, 1, false},
		{"zero trace ID", []string{"00-" + strings.Repeat("0", 32) + "-" + spanID + "-01"}, false, 1, false},
		{"zero span ID", []string{"00-" + traceID + "-" + strings.Repeat("0", 16) + "-01"}, false, 1, false},
		{"upper case", []string{strings.ToUpper(usual)}, false, 1, false},
		{"malformed trace ID", []string{"00-" + strings.Replace(traceID, "a", "g", 1) + "-" + spanID + "-01"}, false, 1, false},
		{"malformed span ID", []string{"00-" + traceID + "-" + strings.Replace(spanID, "a", ".", 1) + "-01"}, false, 1, false},
		{"malformed flags", []string{strings.TrimSuffix(usual, "1") + "x"}, false, 1, false},
		{"short trace ID", []string{"00-" + traceID[2:] + "-" + spanID + "-01"}, false, 1, false},
		{"long span ID", []string{"00-" + traceID + "-" + spanID + "00-01"}, false, 1, false},
		{"short flags", []string{strings.TrimSuffix(usual, "1")}, false, 1, false},
		{"no flags", []string{"00-" + traceID + "-" + spanID}, false, 1, false},
		{"other separators", []string{strings.ReplaceAll(usual, "-", "_")}, false, 1, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := http.Header{"Traceparent": test.values}
				span := open(t, nil, "OTEL_TRACES_SAMPLER=always_on").serve(t, h)
				joined := hex.EncodeToString(span.TraceId) == traceID && hex.EncodeToString(span.ParentSpanId) == spanID
				const knows, remote = uint32(tracepb.SpanFlags_SPAN_FLAGS_CONTEXT_HAS_IS_REMOTE_MASK), uint32(tracepb.SpanFlags_SPAN_FLAGS_CONTEXT_IS_REMOTE_MASK)
				flags := test.flags | knows
				if test.joins {
					flags |= remote
				}
				if joined != test.joins || !joined && len(span.ParentSpanId) > 0 || span.Flags != flags {
					t.Errorf("trace %x, parent %x, flags %x, want flags %x", span.TraceId, span.ParentSpanId, span.Flags, flags)
				}
				if len(span.TraceId) != 16 || len(span.SpanId) != 8 || hex.EncodeToString(span.SpanId) == spanID {
					t.Errorf("trace %x, span %x", span.TraceId, span.SpanId)
				}
				ctx := propagation.TraceContext{}.Extract(t.Context(), propagation.HeaderCarrier(h))
				if theirs := oteltrace.SpanContextFromContext(ctx).IsValid(); theirs != test.joins && !test.alone {
					t.Errorf("OpenTelemetry's propagator joins the trace: %t", theirs)
				}
			})
		})
	}
}

// TestState: the state of vendors stands in the span, unless it is malformed. OpenTelemetry's own
// propagator agrees.
func TestState(t *testing.T) {
	t.Parallel()
	var many []string
	for i := range 33 {
		many = append(many, fmt.Sprintf("k%d=v", i))
	}
	for _, test := range []struct {
		name   string
		values []string
		want   string
	}{
		{"none", nil, ""},
		{"two vendors", []string{"congo=t61rcWkgMzE,rojo=00f067aa0ba902b7"}, "congo=t61rcWkgMzE,rojo=00f067aa0ba902b7"},
		{"spaces", []string{"a=1 , \tb=2"}, "a=1,b=2"},
		{"empty members", []string{"a=1,,b=2,"}, "a=1,b=2"},
		{"a tenant", []string{"0t@v=x y"}, "0t@v=x y"},
		{"all signs of a key", []string{"a_-*/0=1"}, "a_-*/0=1"},
		{"as many as may be", []string{strings.Join(many[:32], ",")}, strings.Join(many[:32], ",")},
		{"too many", []string{strings.Join(many, ",")}, ""},
		{"twice the same key", []string{"a=1,a=2"}, ""},
		{"upper case", []string{"A=1"}, ""},
		{"no value", []string{"a="}, ""},
		{"no equals sign", []string{"a"}, ""},
		{"two equals signs", []string{"a=1=2"}, ""},
		{"no ASCII", []string{"a=ä"}, ""},
		{"a long key", []string{strings.Repeat("k", 257) + "=1"}, ""},
		{"a long vendor", []string{"t@" + strings.Repeat("v", 15) + "=1"}, ""},
		{"a long value", []string{"k=" + strings.Repeat("v", 257)}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := http.Header{"Traceparent": {usual}, "Tracestate": test.values}
				span := open(t, nil).serve(t, h)
				if span.TraceState != test.want || hex.EncodeToString(span.TraceId) != traceID {
					t.Errorf("state %q, want %q; trace %x", span.TraceState, test.want, span.TraceId)
				}
				ctx := propagation.TraceContext{}.Extract(t.Context(), propagation.HeaderCarrier(h))
				if theirs := oteltrace.SpanContextFromContext(ctx).TraceState().String(); theirs != test.want {
					t.Errorf("OpenTelemetry's propagator says %q", theirs)
				}
			})
		})
	}
	t.Run("two headers", func(t *testing.T) { // of which the propagator reads one
		synctest.Test(t, func(t *testing.T) {
			span := open(t, nil).serve(t, http.Header{"Traceparent": {usual}, "Tracestate": {"a=1", "b=2"}})
			if span.TraceState != "a=1,b=2" {
				t.Error(span.TraceState)
			}
		})
	})
	t.Run("more than is kept", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			value := strings.Repeat("v", 200)
			span := open(t, nil).serve(t, http.Header{"Traceparent": {usual}, "Tracestate": {"a=" + value + ",b=" + value + ",c=" + value}})
			if span.TraceState != "" {
				t.Error(span.TraceState)
			}
		})
	})
}

// TestPropagators: without tracecontext, requests begin traces of their own.
func TestPropagators(t *testing.T) {
	t.Parallel()
	for value, joins := range map[string]bool{"none": false, "baggage": false, "tracecontext": true, "baggage,tracecontext": true, "": true} {
		t.Run(value, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				span := open(t, nil, "OTEL_PROPAGATORS="+value).serve(t, http.Header{"Traceparent": {usual}})
				if got := hex.EncodeToString(span.TraceId) == traceID; got != joins {
					t.Errorf("trace %x", span.TraceId)
				}
			})
		})
	}
}

// TestSpan: a span arrives as it was made, also with texts that are no UTF-8 or very long.
func TestSpan(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := open(t, nil, "OTEL_SERVICE_NAME=cache", "OTEL_RESOURCE_ATTRIBUTES=service.name=other,team=a%2Cb")
		ctx, span := r.Serve(t.Context(), nil, "GET /v1/{key}")
		time.Sleep(3 * time.Second)
		below := trace.Start(ctx, "store get", trace.Client)
		time.Sleep(4 * time.Second)
		below.Fail("bad \xff")
		below.End()
		span.Set(trace.String("text", "ok"), trace.String("empty", ""), trace.Int("number", -7),
			trace.String("bytes", "a\xffb"), trace.String("long", strings.Repeat("ä", 1000)))
		for i := range 40 {
			span.Set(trace.Int(fmt.Sprint("n", i), 0))
		}
		span.End()
		r.Shutdown(t.Context())

		got := r.requests(t)
		if len(got) != 1 || len(got[0].Spans()) != 2 {
			t.Fatalf("%d requests", len(got))
		}
		child, top := got[0].Spans()[0], got[0].Spans()[1]
		if string(child.TraceId) != string(top.TraceId) || string(child.ParentSpanId) != string(top.SpanId) || len(top.ParentSpanId) > 0 {
			t.Errorf("the spans are not one below the other: %v, %v", child, top)
		}
		if top.Kind != tracepb.Span_SPAN_KIND_SERVER || child.Kind != tracepb.Span_SPAN_KIND_CLIENT || child.Flags != 0x101 || top.Status != nil {
			t.Errorf("kinds %v, %v, flags %x, status %v", top.Kind, child.Kind, child.Flags, top.Status)
		}
		if child.Status.GetCode() != tracepb.Status_STATUS_CODE_ERROR || child.Status.Message != "bad ?" {
			t.Error(child.Status)
		}
		if took := top.EndTimeUnixNano - top.StartTimeUnixNano; took != 7e9 || child.EndTimeUnixNano-child.StartTimeUnixNano != 4e9 {
			t.Errorf("it took %d ns", took)
		}
		attributes := toJSON(t, tracetest.Attributes(top.Attributes))
		if len(top.Attributes) != 32 || top.DroppedAttributesCount != 13 || !strings.Contains(attributes, `"text":"ok"`) ||
			!strings.Contains(attributes, `"bytes":"a?b","empty":"","long":"`+strings.Repeat("ä", 512)+`","n0":0`) ||
			!strings.Contains(attributes, `"number":-7`) {
			t.Errorf("%d attributes, %d dropped: %s", len(top.Attributes), top.DroppedAttributesCount, attributes)
		}
		resource, scope := got[0].ResourceSpans[0], got[0].ResourceSpans[0].ScopeSpans[0]
		if got := toJSON(t, tracetest.Attributes(resource.Resource.Attributes)); got != `{"service.name":"cache","service.version":"v1.2.3","team":"a,b"}` {
			t.Error(got)
		}
		if scope.Scope.Name != "github.com/larderbuild/larder" || scope.Scope.Version != "v1.2.3" || !strings.HasPrefix(scope.SchemaUrl, "https://opentelemetry.io/schemas/1.") {
			t.Errorf("%v", scope)
		}
		if h := got[0].Header; h.Get("User-Agent") != "larder/v1.2.3" || got[0].Path != "POST /v1/traces" || !slices.Equal(h["Content-Type"], []string{"application/x-protobuf"}) {
			t.Errorf("%s, %v", got[0].Path, h)
		}
	})
}

// TestNothing: without a Tracer there are no spans, and nothing fails.
func TestNothing(t *testing.T) {
	t.Parallel()
	var none *trace.Tracer
	ctx, span := none.Serve(t.Context(), nil, "request")
	span.Set(trace.Int("n", 1))
	span.Fail("")
	span.End()
	if below := trace.Start(ctx, "below", trace.Internal); span != nil || below != nil {
		t.Error("there is a span")
	}
	none.Shutdown(t.Context())
}

func toJSON(t *testing.T, v any) string {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

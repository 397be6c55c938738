package trace_test

import (
	"context"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"net/http"
	"testing"
	"testing/synctest"

	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// TestSampler: of the same traces those are recorded that OpenTelemetry's own samplers choose.
func TestSampler(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, arg string
		theirs    sdktrace.Sampler
	}{
		{"always_on", "", sdktrace.AlwaysSample()},
		{"always_off", "", sdktrace.NeverSample()},
		{"traceidratio", "", sdktrace.TraceIDRatioBased(1)},
		{"traceidratio", "1", sdktrace.TraceIDRatioBased(1)},
		{"traceidratio", "0", sdktrace.TraceIDRatioBased(0)},
		{"traceidratio", "0.25", sdktrace.TraceIDRatioBased(0.25)},
		{"traceidratio", "0.9", sdktrace.TraceIDRatioBased(0.9)},
		{"traceidratio", "0.001", sdktrace.TraceIDRatioBased(0.001)},
		{"parentbased_always_on", "", sdktrace.ParentBased(sdktrace.AlwaysSample())},
		{"parentbased_always_off", "", sdktrace.ParentBased(sdktrace.NeverSample())},
		{"parentbased_traceidratio", "0.5", sdktrace.ParentBased(sdktrace.TraceIDRatioBased(0.5))},
		{"", "", sdktrace.ParentBased(sdktrace.AlwaysSample())},
	} {
		t.Run(test.name+" "+test.arg, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := open(t, nil, "OTEL_TRACES_SAMPLER="+test.name, "OTEL_TRACES_SAMPLER_ARG="+test.arg)
				random := rand.New(rand.NewPCG(1, 2))
				for range 5000 {
					h := http.Header{"Traceparent": {fmt.Sprintf("00-%016x%016x-%s-0%d", random.Uint64(), random.Uint64(), spanID, random.IntN(2))}}
					_, span := r.Serve(t.Context(), h, "request")
					if theirs := decides(test.theirs, h); (span != nil) != theirs {
						t.Fatalf("%s: %t, OpenTelemetry says %t", h, span != nil, theirs)
					}
				}
			})
		})
	}
}

// decides reports whether a sampler of OpenTelemetry samples a request with a header.
func decides(s sdktrace.Sampler, h http.Header) bool {
	ctx := propagation.TraceContext{}.Extract(context.Background(), propagation.HeaderCarrier(h))
	p := sdktrace.SamplingParameters{ParentContext: ctx}
	_, _ = hex.Decode(p.TraceID[:], []byte(h.Get("Traceparent")[3:35])) // it is well-formed
	return s.ShouldSample(p).Decision == sdktrace.RecordAndSample
}

// TestSamplerOfRoots: a request without a parent is recorded if OpenTelemetry's own sampler would
// record its trace.
func TestSamplerOfRoots(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := open(t, nil, "OTEL_TRACES_SAMPLER=parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG=0.5")
		const all = 1000
		r.spans(t, all)
		r.Shutdown(t.Context())
		theirs := sdktrace.ParentBased(sdktrace.TraceIDRatioBased(0.5))
		seen := make(map[string]bool)
		for _, span := range r.collector.Spans() {
			p := sdktrace.SamplingParameters{ParentContext: context.Background(), TraceID: [16]byte(span.TraceId)}
			if theirs.ShouldSample(p).Decision != sdktrace.RecordAndSample {
				t.Errorf("OpenTelemetry does not record the trace %x", span.TraceId)
			}
			seen[string(span.TraceId)] = true
		}
		if len(seen) < all/4 || len(seen) > all*3/4 { // the odds are far below one in a billion
			t.Errorf("%d of %d traces", len(seen), all)
		}
	})
}

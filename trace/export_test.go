package trace_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// message returns a message with a text and numbers in its fields.
func message(textField protowire.Number, text string, numbers map[protowire.Number]int64) []byte {
	b := protowire.AppendString(protowire.AppendTag(nil, textField, protowire.BytesType), text)
	for field, n := range numbers {
		b = protowire.AppendVarint(protowire.AppendTag(b, field, protowire.VarintType), uint64(n))
	}
	return b
}

// fails answers the first n requests with a status, a header and a text, and keeps the others.
func fails(n, status int, retryAfter, text string) func(http.ResponseWriter, *http.Request, int) bool {
	return func(w http.ResponseWriter, _ *http.Request, i int) bool {
		if i > n {
			return true
		}
		if retryAfter != "" {
			w.Header().Set("Retry-After", retryAfter)
		}
		w.Header().Set("Content-Type", "application/x-protobuf")
		w.WriteHeader(status)
		_, _ = w.Write(message(2, text, map[protowire.Number]int64{1: 14})) // google.rpc.Status
		return false
	}
}

// hangs never answers.
func hangs(_ http.ResponseWriter, r *http.Request, _ int) bool {
	<-r.Context().Done()
	return false
}

// TestBatches: spans go out once there are enough of them, or some time after they ended.
func TestBatches(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := open(t, nil, "OTEL_BSP_MAX_EXPORT_BATCH_SIZE=10", "OTEL_EXPORTER_OTLP_COMPRESSION=gzip")
		began := time.Now()
		r.spans(t, 25)
		synctest.Wait()
		if got := len(r.collector.Spans()); got != 20 {
			t.Errorf("%d spans at once, want 20", got)
		}
		time.Sleep(6 * time.Second)
		got := r.requests(t)
		if len(got) != 3 || len(r.collector.Spans()) != 25 {
			t.Fatalf("%d requests, %d spans", len(got), len(r.collector.Spans()))
		}
		if wait := got[2].At.Sub(began); wait != 5*time.Second || got[2].Header.Get("Content-Encoding") != "gzip" {
			t.Errorf("the last after %v, %v", wait, got[2].Header)
		}
		if r.log.String() != "" {
			t.Error(r.log)
		}
	})
}

// TestFullQueue: while a collector hangs, spans never wait, and memory has its limit. What was
// dropped is logged once.
func TestFullQueue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		goOn := make(chan bool)
		r := open(t, func(http.ResponseWriter, *http.Request, int) bool {
			<-goOn
			return true
		}, "OTEL_BSP_MAX_EXPORT_BATCH_SIZE=10", "OTEL_BSP_MAX_QUEUE_SIZE=50")
		r.spans(t, 10)
		synctest.Wait() // the first request hangs
		began := time.Now()
		r.spans(t, 1000)
		if took := time.Since(began); took != 0 {
			t.Errorf("spans wait for %v", took)
		}
		close(goOn)
		r.Shutdown(t.Context())
		if got := len(r.collector.Spans()); got != 60 {
			t.Errorf("%d spans, want 60", got)
		}
		lines := r.log.lines(t)
		if len(lines) != 1 || lines[0].Spans != 950 || !strings.Contains(lines[0].Err, "OTEL_BSP_MAX_QUEUE_SIZE") {
			t.Error(r.log)
		}
	})
}

// TestRetries: what OTLP calls retryable is sent again, when the collector says or later each
// time. Nothing else is.
func TestRetries(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		status     int
		retryAfter string
		attempts   int
		wait       [2]time.Duration // before the second attempt, at least and at most
		logs       string
	}{
		{status: 429, attempts: 2, wait: [2]time.Duration{500 * time.Millisecond, 1500 * time.Millisecond}},
		{status: 429, retryAfter: "7", attempts: 2, wait: [2]time.Duration{7 * time.Second, 7 * time.Second}},
		{status: 503, retryAfter: "7", attempts: 2, wait: [2]time.Duration{7 * time.Second, 7 * time.Second}},
		{status: 503, retryAfter: "Sat, 01 Jan 2000 00:00:20 GMT", attempts: 2, wait: [2]time.Duration{15 * time.Second, 15 * time.Second}},
		{status: 503, retryAfter: "soon", attempts: 2, wait: [2]time.Duration{500 * time.Millisecond, 1500 * time.Millisecond}},
		{status: 502, attempts: 2, wait: [2]time.Duration{500 * time.Millisecond, 1500 * time.Millisecond}},
		{status: 504, attempts: 2, wait: [2]time.Duration{500 * time.Millisecond, 1500 * time.Millisecond}},
		{status: 503, retryAfter: "31", attempts: 1, logs: `the collector answers 503: "too much"`}, // behind OTEL_BSP_EXPORT_TIMEOUT
		{status: 400, attempts: 1, logs: `the collector answers 400: "too much"`},
		{status: 401, attempts: 1, logs: `the collector answers 401`},
		{status: 404, retryAfter: "1", attempts: 1, logs: `the collector answers 404`},
		{status: 413, attempts: 1, logs: `the collector answers 413`},
		{status: 500, attempts: 1, logs: `the collector answers 500`},
		{status: 307, attempts: 1, logs: `the collector answers 307`},
	} {
		t.Run(fmt.Sprint(test.status, " ", test.retryAfter), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := open(t, fails(1, test.status, test.retryAfter, "too much"))
				r.spans(t, 1)
				time.Sleep(time.Minute)
				got := r.requests(t)
				if len(got) != test.attempts || len(r.collector.Spans()) != test.attempts-1 {
					t.Fatalf("%d requests, %d spans, %s", len(got), len(r.collector.Spans()), r.log)
				}
				if test.attempts == 2 {
					if wait := got[1].At.Sub(got[0].At); wait < test.wait[0] || wait > test.wait[1] {
						t.Errorf("a retry after %v, want %v", wait, test.wait)
					}
				}
				lines := r.log.lines(t)
				if test.logs == "" && len(lines) > 0 || test.logs != "" && (len(lines) != 1 || lines[0].Spans != 1 || !strings.Contains(lines[0].Err, test.logs)) {
					t.Errorf("log: %s, want %q", r.log, test.logs)
				}
			})
		})
	}
}

// TestPatience: a collector that asks to wait for long gets no other batch before.
func TestPatience(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := open(t, fails(1, 429, "120", ""))
		r.spans(t, 1)
		time.Sleep(10 * time.Second)
		r.spans(t, 2)
		time.Sleep(5 * time.Minute)
		got := r.requests(t)
		if len(got) != 2 || len(r.collector.Spans()) != 2 {
			t.Fatalf("%d requests, %d spans", len(got), len(r.collector.Spans()))
		}
		if wait := got[1].At.Sub(got[0].At); wait != 2*time.Minute {
			t.Errorf("it waits for %v", wait)
		}
	})
}

// TestBackoff: attempts come later each time, and end with OTEL_BSP_EXPORT_TIMEOUT.
func TestBackoff(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := open(t, fails(1000, 503, "", ""), "OTEL_BSP_EXPORT_TIMEOUT=120000")
		r.spans(t, 1)
		time.Sleep(10 * time.Minute)
		got := r.requests(t)
		if n := len(got); n < 6 || n > 10 || got[n-1].At.Sub(got[0].At) > 2*time.Minute {
			t.Errorf("%d attempts", n)
		}
		for i := 1; i < len(got); i++ {
			backoff := min(time.Second<<(i-1), 30*time.Second)
			if wait := got[i].At.Sub(got[i-1].At); wait < backoff/2 || wait > backoff*3/2 {
				t.Errorf("attempt %d after %v, want about %v", i+1, wait, backoff)
			}
		}
	})
}

// TestDown: with a collector that is down, every span is counted in the log, which has a line a
// minute at most. Once it is up, spans arrive.
func TestDown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := open(t, nil)
		r.server.Close()
		const all = 600
		for range all {
			r.spans(t, 1)
			time.Sleep(time.Second)
		}
		began := time.Now()
		r.Shutdown(t.Context())
		if took := time.Since(began); took > 0 {
			t.Errorf("the end takes %v", took)
		}
		sum := 0
		lines := r.log.lines(t)
		for _, l := range lines {
			sum += l.Spans
		}
		if len(lines) > 12 || len(lines) < 5 || sum != all {
			t.Errorf("%d lines, %d spans: %s", len(lines), sum, r.log)
		}
	})
}

// TestHanging: a collector that hangs gets other attempts, for OTEL_BSP_EXPORT_TIMEOUT, and does
// not keep the process from its end.
func TestHanging(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := open(t, hangs, "OTEL_EXPORTER_OTLP_TIMEOUT=2000", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE=10")
		r.spans(t, 5)
		time.Sleep(time.Minute)
		if n := len(r.requests(t)); n < 4 || n > 10 {
			t.Errorf("%d attempts", n)
		}
		lines := r.log.lines(t)
		if len(lines) != 1 || lines[0].Spans != 5 || !strings.Contains(lines[0].Err, "deadline") {
			t.Error(r.log)
		}
		before := len(r.requests(t))
		r.spans(t, 25)
		began := time.Now()
		r.Shutdown(t.Context())
		if took := time.Since(began); took > 4*time.Second || len(r.requests(t))-before > 2 { // one may be under way
			t.Errorf("the end takes %v and %d attempts", took, len(r.requests(t))-before)
		}
		if lines = r.log.lines(t); len(lines) != 2 || lines[1].Spans != 25 {
			t.Error(r.log)
		}
	})
}

// TestShutdown: the last spans are exported, also if the collector has to be asked twice. After
// OTEL_BSP_EXPORT_TIMEOUT, or the end of the context, there is no other attempt.
func TestShutdown(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name     string
		answer   func(http.ResponseWriter, *http.Request, int) bool
		timeout  time.Duration // of the context
		atMost   time.Duration
		spans    int
		settings []string
	}{
		{"at once", nil, time.Hour, 0, 35, nil},
		{"on the third attempt", fails(2, 503, "2", ""), time.Hour, 4 * time.Second, 35, nil},
		{"never", fails(1000, 503, "", ""), time.Hour, 5 * time.Second, 0, []string{"OTEL_BSP_EXPORT_TIMEOUT=5000"}},
		{"too late", fails(1, 503, "6", ""), time.Hour, 0, 0, []string{"OTEL_BSP_EXPORT_TIMEOUT=5000"}},
		{"a hanging collector", hangs, time.Hour, 5 * time.Second, 0, []string{"OTEL_BSP_EXPORT_TIMEOUT=5000"}},
		{"no time", hangs, 3 * time.Second, 3 * time.Second, 0, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := open(t, test.answer, append(test.settings, "OTEL_BSP_MAX_EXPORT_BATCH_SIZE=40")...)
				r.spans(t, 35)
				ctx, cancel := context.WithTimeout(t.Context(), test.timeout)
				defer cancel()
				began := time.Now()
				r.Shutdown(ctx)
				if took := time.Since(began); took > test.atMost {
					t.Errorf("it takes %v, want %v at most", took, test.atMost)
				}
				if got := len(r.collector.Spans()); got != test.spans {
					t.Errorf("%d spans, want %d", got, test.spans)
				}
				if lines := r.log.lines(t); test.spans == 0 && (len(lines) != 1 || lines[0].Spans != 35) || test.spans > 0 && len(lines) > 0 {
					t.Error(r.log)
				}
				r.spans(t, 1) // goes nowhere
				r.Shutdown(ctx)
			})
		})
	}
}

// TestPartialSuccess: what a collector does not take, or warns of, is logged, and not sent again.
func TestPartialSuccess(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name     string
		rejected int64
		text     string
		logged   int // spans; -1: no line
	}{
		{"rejected", 3, "too old", 3},
		{"a warning", 0, "use another port", 0},
		{"nothing", 0, "", -1},
		{"nonsense", -5, "?", 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := open(t, func(w http.ResponseWriter, _ *http.Request, _ int) bool {
					partial := message(2, test.text, map[protowire.Number]int64{1: test.rejected})
					_, _ = w.Write(protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), partial))
					return true
				})
				r.spans(t, 10)
				r.Shutdown(t.Context())
				lines := r.log.lines(t)
				if test.logged < 0 && len(lines) > 0 || test.logged >= 0 && (len(lines) != 1 || lines[0].Spans != test.logged || !strings.Contains(lines[0].Err, test.text)) {
					t.Error(r.log)
				}
				if n := len(r.requests(t)); n != 1 {
					t.Errorf("%d requests", n)
				}
			})
		})
	}
}

// TestHostileAnswers: whatever a collector answers, larder goes on, and no secret reaches the log,
// although the collector repeats what it got.
func TestHostileAnswers(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"nothing":              "",
		"a page":               "<html><body>s3cret-key</body></html>",
		"JSON":                 `{"code":16,"message":"s3cret-key"}`,
		"endless":              strings.Repeat("\n\x80", 1<<20),
		"a cut message":        "\x12\xff\x01s3cret-key",
		"header":               string(message(2, `no such key: "s3cret-key"`, nil)),
		"a word of it":         string(message(2, "who is s3cret-token?", nil)),
		"a long text":          string(message(2, strings.Repeat("x", 1020)+"s3cret-key", nil)),
		"the URL":              string(message(2, "s3cret-password s3cret-query", nil)),
		"control characters":   string(message(2, "\x1b[2J\xff\n", nil)),
		"group":                "\x13\x13\x13\x13",
		"a field of no number": "\x00\x00",
	} {
		for _, status := range []int{200, 401, 503} {
			t.Run(fmt.Sprint(status, " ", name), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					r := open(t, func(w http.ResponseWriter, _ *http.Request, _ int) bool {
						w.WriteHeader(status)
						_, _ = w.Write([]byte(body))
						return true
					}, "OTEL_EXPORTER_OTLP_HEADERS=key=s3cret-key,Authorization=Bearer s3cret-token",
						"OTEL_EXPORTER_OTLP_ENDPOINT=http://u:s3cret-password@c:4318/?q=s3cret-query")
					r.spans(t, 1)
					time.Sleep(time.Minute)
					r.spans(t, 1)
					time.Sleep(time.Minute)
					if got := r.requests(t); len(got) < 2 || got[0].Header.Get("Key") != "s3cret-key" {
						t.Errorf("%d requests", len(got))
					}
					if strings.Contains(r.log.String(), "s3cret") || status != 200 && len(r.log.lines(t)) == 0 {
						t.Errorf("the log: %s", r.log)
					}
				})
			})
		}
	}
}

package trace_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/larderbuild/larder/trace"
	"github.com/larderbuild/larder/trace/tracetest"
)

// notes is the log of a Tracer. Many goroutines may use it.
type notes struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (n *notes) Write(p []byte) (int, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.text.Write(p)
}

func (n *notes) String() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.text.String()
}

func (n *notes) logger() *slog.Logger { return slog.New(slog.NewJSONHandler(n, nil)) }

// note is a line of the log.
type note struct {
	Msg   string
	Spans int
	Err   string
}

// lines returns the lines so far.
func (n *notes) lines(t *testing.T) (lines []note) {
	t.Helper()
	for line := range strings.Lines(n.String()) {
		var l note
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, l)
	}
	return lines
}

// variables returns a function for FromVariables, from name=value.
func variables(pairs ...string) func(string) string {
	values := make(map[string]string)
	for _, pair := range pairs {
		name, value, _ := strings.Cut(pair, "=")
		values[name] = value
	}
	return func(name string) string { return values[name] }
}

// rig is a Tracer with its collector in the same bubble of package synctest.
type rig struct {
	*trace.Tracer
	collector *tracetest.Collector
	server    *http.Server
	log       *notes
}

// open returns a rig by variables. answer is Collector.Answer.
func open(t *testing.T, answer func(http.ResponseWriter, *http.Request, int) bool, pairs ...string) *rig {
	t.Helper()
	r := &rig{collector: &tracetest.Collector{Answer: answer}, log: new(notes)}
	cfg, on := trace.FromVariables(variables(append([]string{"OTEL_TRACES_EXPORTER=otlp"}, pairs...)...), "v1.2.3", r.log.logger())
	if !on || r.log.String() != "" {
		t.Fatalf("on: %t, log: %s", on, r.log)
	}
	pipes := tracetest.NewPipes()
	cfg.Transport.DialContext = pipes.Dial
	r.server = &http.Server{Handler: r.collector}
	go func() { _ = r.server.Serve(pipes) }()
	r.Tracer = trace.New(cfg, r.log.logger())
	t.Cleanup(func() {
		r.Shutdown(t.Context())
		r.server.Close()
	})
	return r
}

// spans makes n spans.
func (r *rig) spans(t *testing.T, n int) {
	for i := range n {
		_, span := r.Serve(t.Context(), nil, fmt.Sprint("span ", i))
		span.End()
	}
}

// requests returns those that the collector has got. They have to be well-formed.
func (r *rig) requests(t *testing.T) []tracetest.Request {
	t.Helper()
	all, err := r.collector.Requests()
	if err != nil {
		t.Error(err)
	}
	return all
}

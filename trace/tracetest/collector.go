// Package tracetest has an OTLP collector for tests. It decodes what it gets by OpenTelemetry's
// own generated types: TracesData has the fields of ExportTraceServiceRequest, whose package would
// bring gRPC.
package tracetest

import (
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protopath"
	"google.golang.org/protobuf/reflect/protorange"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Request is one that a Collector has got.
type Request struct {
	At     time.Time
	Path   string
	Header http.Header
	*tracepb.TracesData
}

// Spans returns those of the request.
func (r Request) Spans() (spans []*tracepb.Span) {
	for _, resource := range r.ResourceSpans {
		for _, scope := range resource.ScopeSpans {
			spans = append(spans, scope.Spans...)
		}
	}
	return spans
}

// Collector is an http.Handler. Many goroutines may use it.
type Collector struct {
	// Answer answers the nth request, beginning with 1, and reports whether the collector keeps
	// it. nil: it keeps all, with status 200.
	Answer func(w http.ResponseWriter, r *http.Request, n int) (keeps bool)

	mu       sync.Mutex
	got      []Request // all
	kept     []Request
	mistakes []error
}

// ServeHTTP takes one request.
func (c *Collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	message, err := decode(r)
	got := Request{time.Now(), r.Method + " " + r.URL.RequestURI(), r.Header, message}
	c.mu.Lock()
	c.got = append(c.got, got)
	n := len(c.got)
	if err != nil {
		c.mistakes = append(c.mistakes, err)
	}
	c.mu.Unlock()
	if c.Answer != nil && !c.Answer(w, r, n) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.kept = append(c.kept, got)
}

func decode(r *http.Request) (*tracepb.TracesData, error) {
	message := new(tracepb.TracesData)
	if kind := r.Header.Get("Content-Type"); kind != "application/x-protobuf" {
		return message, errors.New("the content type is " + kind)
	}
	var body io.Reader = r.Body
	if r.Header.Get("Content-Encoding") == "gzip" {
		unzipped, err := gzip.NewReader(r.Body)
		if err != nil {
			return message, err
		}
		body = unzipped
	}
	data, err := io.ReadAll(body)
	if err == nil {
		err = proto.Unmarshal(data, message)
	}
	if err != nil {
		return message, err
	}
	return message, protorange.Range(message.ProtoReflect(), func(p protopath.Values) error {
		if m, ok := p.Index(-1).Value.Interface().(protoreflect.Message); ok && len(m.GetUnknown()) > 0 {
			return errors.New(p.Path.String() + " has fields that are unknown")
		}
		return nil
	})
}

// Requests returns those so far, and what was wrong with them.
func (c *Collector) Requests() ([]Request, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]Request(nil), c.got...), errors.Join(c.mistakes...)
}

// Spans returns what the collector has kept.
func (c *Collector) Spans() (spans []*tracepb.Span) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range c.kept {
		spans = append(spans, r.Spans()...)
	}
	return spans
}

// Attributes returns those of a span or resource by their names: strings and numbers.
func Attributes(list []*commonpb.KeyValue) map[string]any {
	all := make(map[string]any)
	for _, a := range list {
		switch value := a.Value.Value.(type) {
		case *commonpb.AnyValue_StringValue:
			all[a.Key] = value.StringValue
		case *commonpb.AnyValue_IntValue:
			all[a.Key] = value.IntValue
		}
	}
	return all
}

// Pipes is a net.Listener within the process, for tests in a bubble of package synctest.
type Pipes struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

// NewPipes returns a listener.
func NewPipes() *Pipes { return &Pipes{conns: make(chan net.Conn), closed: make(chan struct{})} }

// Dial connects with the listener, as http.Transport.DialContext does.
func (p *Pipes) Dial(ctx context.Context, _, _ string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	select {
	case p.conns <- theirs:
		return ours, nil
	case <-p.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Accept returns the next connection.
func (p *Pipes) Accept() (net.Conn, error) {
	select {
	case conn := <-p.conns:
		return conn, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

// Close refuses connections from now on.
func (p *Pipes) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

// Addr returns an address that says nothing.
func (p *Pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipes", Net: "unix"} }

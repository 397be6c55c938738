package trace

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"net/http"
	"time"
)

// Kind is what a span stands for, by the numbers of OTLP.
type Kind int

const (
	Internal Kind = 1 // work within the process
	Server   Kind = 2 // a request that came in
	Client   Kind = 3 // a request to another process
)

// Attribute is a fact about a span. String and Int make one.
type Attribute struct {
	key    string
	text   string
	number int64
	isText bool
}

// String returns an attribute that is a text. Of a long one only the first 1 KiB are exported.
func String(key, value string) Attribute { return Attribute{key: key, text: value, isText: true} }

// Int returns an attribute that is a number.
func Int(key string, value int64) Attribute { return Attribute{key: key, number: value} }

// maxAttributes is how many attributes a span has at most. Others are dropped.
const maxAttributes = 32

// Span is one recorded piece of work. A nil *Span is one that is not recorded: its methods do
// nothing. One goroutine uses it at a time.
type Span struct {
	tracer     *Tracer
	parent     parent
	id         [8]byte
	name       string
	kind       Kind
	began      time.Time
	attributes []Attribute
	dropped    int // attributes
	failed     bool
	failure    string
}

// spanKey is that of a *Span in a context.
type spanKey struct{}

// Serve begins the span of a request with a header. The span is in the context that it returns,
// for Start. It is nil if t is nil, or does not sample the trace.
func (t *Tracer) Serve(ctx context.Context, h http.Header, name string) (context.Context, *Span) {
	if t == nil {
		return ctx, nil
	}
	p := parent{}
	if t.propagates {
		p = parentOf(h)
	}
	remote := p.exists()
	traceID := p.traceID
	if !remote {
		traceID = newTraceID()
	}
	if !t.sampler.samples(traceID, p) {
		return ctx, nil
	}
	p.traceID = traceID
	p.flags |= sampledFlag
	s := t.start(p, name, Server)
	return context.WithValue(ctx, spanKey{}, s), s
}

// Start begins a span below the one that ctx has. It is nil if there is none.
func Start(ctx context.Context, name string, kind Kind) *Span {
	above, _ := ctx.Value(spanKey{}).(*Span)
	if above == nil {
		return nil
	}
	p := above.parent
	p.spanID, p.remote = above.id, false
	return above.tracer.start(p, name, kind)
}

func (t *Tracer) start(p parent, name string, kind Kind) *Span {
	s := &Span{tracer: t, parent: p, name: name, kind: kind, began: time.Now()}
	for s.id == [8]byte{} {
		binary.BigEndian.PutUint64(s.id[:], rand.Uint64())
	}
	return s
}

func newTraceID() (id [16]byte) {
	for id == [16]byte{} {
		binary.BigEndian.PutUint64(id[:8], rand.Uint64())
		binary.BigEndian.PutUint64(id[8:], rand.Uint64())
	}
	return id
}

// Set adds attributes. No key may be there twice.
func (s *Span) Set(attributes ...Attribute) {
	if s == nil {
		return
	}
	for _, a := range attributes {
		if len(s.attributes) == maxAttributes {
			s.dropped++
			continue
		}
		s.attributes = append(s.attributes, a)
	}
}

// Fail says that the work has failed, and how, which may be empty.
func (s *Span) Fail(how string) {
	if s != nil {
		s.failed, s.failure = true, how
	}
}

// End ends the span, which is not used any more. It never waits.
func (s *Span) End() {
	if s != nil {
		s.tracer.exporter.add(s.encode(time.Since(s.began)))
	}
}

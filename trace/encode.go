package trace

import (
	"strings"
	"time"
	"unicode/utf8"

	"github.com/larderbuild/larder/protobuf"
)

// This file writes the messages of OTLP, opentelemetry/proto/collector/trace/v1, by their field
// numbers, which never change.

// maxText is how many bytes of a text are exported.
const maxText = 1 << 10

// clean returns text in valid UTF-8, without which a collector refuses the whole batch, and
// not longer than maxText.
func clean(text string) string {
	if len(text) > maxText {
		end := maxText
		for end > maxText-utf8.UTFMax && !utf8.RuneStart(text[end]) {
			end--
		}
		text = text[:end]
	}
	return strings.ToValidUTF8(text, "?")
}

// appendAttribute appends a KeyValue.
func appendAttribute(b []byte, field protobuf.Number, a Attribute) []byte {
	var value []byte // an AnyValue
	if a.isText {
		value = protobuf.AppendData(nil, 1, clean(a.text))
	} else {
		value = protobuf.AppendVarint(nil, 3, uint64(a.number))
	}
	return protobuf.AppendData(b, field, protobuf.AppendData(protobuf.AppendString(nil, 1, a.key), 2, value))
}

// The bits of Span.flags beyond those of traceparent.
const (
	knowsRemote = 1 << 8 // the next bit has a meaning
	isRemote    = 1 << 9 // the parent is in another process
)

// encode returns the message Span of one that took a time.
func (s *Span) encode(took time.Duration) []byte {
	b := protobuf.AppendData(nil, 1, s.parent.traceID[:])
	b = protobuf.AppendData(b, 2, s.id[:])
	b = protobuf.AppendString(b, 3, s.parent.state)
	if s.parent.spanID != [8]byte{} {
		b = protobuf.AppendData(b, 4, s.parent.spanID[:])
	}
	b = protobuf.AppendString(b, 5, clean(s.name))
	b = protobuf.AppendVarint(b, 6, uint64(s.kind))
	b = protobuf.AppendFixed64(b, 7, uint64(s.began.UnixNano()))
	b = protobuf.AppendFixed64(b, 8, uint64(s.began.Add(took).UnixNano()))
	for _, a := range s.attributes {
		b = appendAttribute(b, 9, a)
	}
	if s.dropped > 0 {
		b = protobuf.AppendVarint(b, 10, uint64(s.dropped))
	}
	if s.failed {
		const failed = 2
		b = protobuf.AppendData(b, 15, protobuf.AppendVarint(protobuf.AppendString(nil, 2, clean(s.failure)), 3, failed))
	}
	flags := uint32(s.parent.flags) | knowsRemote
	if s.parent.remote {
		flags |= isRemote
	}
	return protobuf.AppendFixed32(b, 16, flags)
}

// scope names the code that makes spans, and schema the conventions for their attributes.
const (
	scope  = "github.com/larderbuild/larder"
	schema = "https://opentelemetry.io/schemas/1.37.0"
)

// encodeResource returns the message Resource.
func encodeResource(attributes []Attribute) (b []byte) {
	for _, a := range attributes {
		b = appendAttribute(b, 1, a)
	}
	return b
}

// encodeBatch returns the message ExportTraceServiceRequest of encoded spans.
func encodeBatch(resource []byte, version string, spans [][]byte) []byte {
	size := 0
	for _, s := range spans {
		size += len(s) + 8 // tag and length
	}
	b := make([]byte, 0, size+256)
	b = protobuf.AppendData(b, 1, protobuf.AppendString(protobuf.AppendString(nil, 1, scope), 2, version))
	for _, s := range spans {
		b = protobuf.AppendData(b, 2, s)
	}
	b = protobuf.AppendString(b, 3, schema)
	b = protobuf.AppendData(protobuf.AppendData(nil, 1, resource), 2, b)
	return protobuf.AppendData(nil, 1, protobuf.AppendString(b, 3, schema))
}

// rejection returns what an ExportTraceServiceResponse says of spans that were not taken. What is
// malformed in it says nothing.
func rejection(response []byte) (spans int64, why string) {
	_ = protobuf.Fields(response, func(f protobuf.Field) error {
		if f.Number != 1 {
			return nil
		}
		return protobuf.Fields(f.Bytes(), func(f protobuf.Field) error {
			switch f.Number {
			case 1:
				spans = f.Int()
			case 2:
				why = f.String()
			}
			return nil
		})
	})
	return spans, why
}

package trace

import (
	"strings"
	"time"
	"unicode/utf8"
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

// appendText appends a text, unless it is empty.
func appendText(b []byte, field uint64, text string) []byte {
	if text == "" {
		return b
	}
	return appendBytes(b, field, text)
}

// appendAttribute appends a KeyValue.
func appendAttribute(b []byte, field uint64, a Attribute) []byte {
	var value []byte // an AnyValue
	if a.isText {
		value = appendBytes(nil, 1, clean(a.text))
	} else {
		value = appendNumber(nil, 3, uint64(a.number))
	}
	return appendBytes(b, field, appendBytes(appendText(nil, 1, a.key), 2, value))
}

// The bits of Span.flags beyond those of traceparent.
const (
	knowsRemote = 1 << 8 // the next bit has a meaning
	isRemote    = 1 << 9 // the parent is in another process
)

// encode returns the message Span of one that took a time.
func (s *Span) encode(took time.Duration) []byte {
	b := appendBytes(nil, 1, s.parent.traceID[:])
	b = appendBytes(b, 2, s.id[:])
	b = appendText(b, 3, s.parent.state)
	if s.parent.spanID != [8]byte{} {
		b = appendBytes(b, 4, s.parent.spanID[:])
	}
	b = appendText(b, 5, clean(s.name))
	b = appendNumber(b, 6, uint64(s.kind))
	b = appendFixed64(b, 7, uint64(s.began.UnixNano()))
	b = appendFixed64(b, 8, uint64(s.began.Add(took).UnixNano()))
	for _, a := range s.attributes {
		b = appendAttribute(b, 9, a)
	}
	if s.dropped > 0 {
		b = appendNumber(b, 10, uint64(s.dropped))
	}
	if s.failed {
		const failed = 2
		b = appendBytes(b, 15, appendNumber(appendText(nil, 2, clean(s.failure)), 3, failed))
	}
	flags := uint32(s.parent.flags) | knowsRemote
	if s.parent.remote {
		flags |= isRemote
	}
	return appendFixed32(b, 16, flags)
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
	b = appendBytes(b, 1, appendText(appendText(nil, 1, scope), 2, version))
	for _, s := range spans {
		b = appendBytes(b, 2, s)
	}
	b = appendText(b, 3, schema)
	b = appendBytes(appendBytes(nil, 1, resource), 2, b)
	return appendBytes(nil, 1, appendText(b, 3, schema))
}

// rejection returns what an ExportTraceServiceResponse says of spans that were not taken.
func rejection(response []byte) (spans int64, why string) {
	fieldsOf(response, func(field, _ uint64, partial []byte) {
		if field != 1 {
			return
		}
		fieldsOf(partial, func(field, number uint64, data []byte) {
			switch field {
			case 1:
				spans = int64(number)
			case 2:
				why = string(data)
			}
		})
	})
	return spans, why
}

// statusMessage returns the text of a google.rpc.Status.
func statusMessage(response []byte) (text string) {
	fieldsOf(response, func(field, _ uint64, data []byte) {
		if field == 2 {
			text = string(data)
		}
	})
	return text
}

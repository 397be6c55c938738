// Package trace makes spans of requests to a server, and sends them to an OpenTelemetry
// collector. It follows the standards, and the OTEL_ variables of OpenTelemetry's
// specification:
//
//   - W3C Trace Context, level 1: a request may belong to a trace that its sender has begun
//     (parent.go);
//   - the samplers of the specification (sampler.go);
//   - OTLP/HTTP 1, binary, with gzip, retries and partial success (encode.go, send.go).
//
// It does not use OpenTelemetry's own libraries, whose init functions every go command would
// wait for; see docs/decisions/0135.
//
// A span that has ended is encoded at once and goes into a queue, from which one goroutine
// exports batches. Where the queue is full, the span is dropped. So a collector that is down
// slows nothing, and memory has a limit: a span has at most 32 attributes, whose texts are cut
// to 1 KiB.
package trace

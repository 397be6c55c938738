// Package grpc speaks gRPC over net/http: https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md.
// The driver reapi calls methods with it, and larder serve answers them.
//
// A call is a POST over HTTP/2. Messages go in its body and come in the body of the answer,
// each behind a byte and its length. The trailers of the answer say how the call has ended.
//
// The usual library, google.golang.org/grpc, costs every go command milliseconds of larder's
// start; see docs/decisions.
package grpc

package serve

import (
	"log/slog"
	"net/http"
	"time"
)

const (
	headerTime = 10 * time.Second // for the header of a request
	idleTime   = 2 * time.Minute  // for a connection without requests
	maxHeader  = 64 << 10         // bytes

	// streams is how many requests a connection of HTTP/2 may have at once. window is how many
	// bytes of each one's body a client may send before the server reads them. The connection takes
	// all of these: otherwise the bodies of requests that wait for a slot would fill it, and the
	// requests that have the slots would get nothing.
	streams = 100
	window  = 256 << 10
)

// HTTP returns an HTTP server with the protocols and the limits that s needs: HTTP/1.1, and HTTP/2
// as gRPC needs it, also without TLS.
func (s *Server) HTTP() *http.Server {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true)
	return &http.Server{
		Handler:           s,
		ReadHeaderTimeout: headerTime,
		IdleTimeout:       idleTime,
		MaxHeaderBytes:    maxHeader,
		Protocols:         protocols,
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams:          streams,
			MaxReceiveBufferPerStream:     window,
			MaxReceiveBufferPerConnection: streams * window,
			// The deadlines of exchange are those of a stream. On a connection that takes no bytes
			// at all, none of its requests would ever end.
			WriteByteTimeout: s.Progress,
		},
		ErrorLog: slog.NewLogLogger(s.Log.Handler(), slog.LevelDebug), // of clients that hang up
	}
}

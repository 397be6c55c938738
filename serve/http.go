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
			// The deadlines of exchange are those of a stream. On a connection that takes no bytes
			// at all, none of its requests would ever end.
			WriteByteTimeout: s.Progress,
		},
		ErrorLog: slog.NewLogLogger(s.Log.Handler(), slog.LevelDebug), // of clients that hang up
	}
}

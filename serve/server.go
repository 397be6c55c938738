package serve

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/larderbuild/larder/api"
	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/backend/tier"
	"github.com/larderbuild/larder/grpc"
	"github.com/larderbuild/larder/trace"
)

// Config says what a Server serves, and to whom.
type Config struct {
	Store     backend.Store // in its decorators; the caller closes it after the last request
	Tier      *tier.Store   // the one in Store; nil: none
	Access    *Access
	Local     bool          // only for requests to localhost: a web page may send any, by another name of this machine
	MaxObject int64         // the largest body of a PUT, in bytes
	Requests  int           // how many are worked on at once; more of them wait
	Progress  time.Duration // how long a request may make no progress
	HMACKey   []byte        // signs bodies below /cache; nil: none
	TempDir   string        // for bodies that are too large for memory
	Evicts    bool          // Evict will be called, so the server remembers what is used
	Tracer    *trace.Tracer // makes spans of requests; nil: none
	Log       *slog.Logger  // gets a line for each request, and faults of the store
}

// Server is an http.Handler. Many goroutines may use it.
type Server struct {
	Config
	slots   chan struct{} // has an element for each request under way
	counts  *counts
	held    atomic.Pointer[holdings] // nil: nobody has counted them
	uses    uses
	uploads uploads
	serving sync.WaitGroup // of requests
}

// New returns a Server.
func New(cfg Config) *Server {
	s := &Server{Config: cfg, slots: make(chan struct{}, cfg.Requests), counts: newCounts()}
	s.uploads.maxBytes = 2 * cfg.MaxObject
	if cfg.Tracer != nil {
		s.Store = withSpans(cfg.Store)
	}
	if cfg.Evicts {
		s.uses.since, s.uses.last = time.Now().Unix(), make(map[string]int64)
	}
	return s
}

// closeTime is how long Close waits for requests.
const closeTime = 5 * time.Second

// Close removes what has come of uploads that broke off. The caller has closed the connections.
// Close waits for a moment until the requests that were under way have noticed, and have removed
// their temporary files.
func (s *Server) Close() {
	ended := make(chan struct{})
	go func() {
		s.serving.Wait()
		close(ended)
	}()
	select {
	case <-ended:
	case <-time.After(closeTime):
	}
	s.uploads.close()
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.serving.Add(1)
	defer s.serving.Done()
	began := time.Now()
	r, span := s.beginSpan(r)
	body := &countedBody{ReadCloser: r.Body, ended: r.ContentLength == 0}
	logged := &loggedWriter{ResponseWriter: w, body: body, isHTTP1: r.ProtoMajor == 1}
	r.Body = body
	defer func() { // also if the answer is aborted, by a panic
		took := time.Since(began)
		endSpan(span, logged)
		s.counts.count(r, logged, took)
		line := []slog.Attr{
			slog.String("method", r.Method), slog.String("path", r.URL.Path), slog.Int("status", logged.status),
			slog.Int64("bytes_in", body.n), slog.Int64("bytes_out", logged.bytes),
			slog.Float64("seconds", took.Seconds()), slog.String("client", r.RemoteAddr),
		}
		if logged.method != "" {
			line = append(line, slog.String("grpc_status", logged.code.String()))
		}
		s.Log.LogAttrs(r.Context(), slog.LevelInfo, "request", line...)
	}()
	h := w.Header()
	h.Set(api.Header, api.Number)
	h.Set("X-Content-Type-Options", "nosniff")
	x := &exchange{s, logged, r, http.NewResponseController(logged)}
	x.goOn()
	if grpc.IsCall(r) {
		x.serveCall()
	} else {
		x.serve()
	}
}

// serve answers a request that is no call of gRPC.
func (x *exchange) serve() {
	if err := x.checkHost(); err != nil {
		x.refuse(err)
		return
	}
	path, err := parsePath(x.r.URL)
	if err != nil {
		fail(x.w, http.StatusBadRequest, err.Error())
		return
	}
	switch path { // what has to answer also if there is much to do
	case "":
		pageEndpoint{}.serve(x)
		return
	case "status":
		statusEndpoint{}.serve(x)
		return
	case "readyz":
		readiness{}.serve(x)
		return
	case "healthz":
		if x.allows(http.MethodGet, http.MethodHead) {
			text(x.w, http.StatusOK, "ok")
		}
		return
	case "metrics":
		metricsEndpoint{}.serve(x)
		return
	}
	if err := x.enter(); err != nil {
		x.refuse(err)
		return
	}
	defer x.leave()
	e := x.route(path)
	if e == nil {
		fail(x.w, http.StatusNotFound, "no such path: see /, /v1/, /cache/, /ac/, /cas/, /status, /metrics, /healthz and /readyz")
		return
	}
	e.serve(x)
}

// checkHost returns an error if the server is only for localhost, and the request is for another host.
func (x *exchange) checkHost() error {
	if x.Local && !isLocal(x.r.Host) {
		return &verdict{status: http.StatusMisdirectedRequest, code: grpc.PermissionDenied, text: "this server is for programs of its machine, as localhost"}
	}
	return nil
}

// isLocal reports whether host, with a port or without, is this machine by a name that nobody
// else can give it.
func isLocal(host string) bool {
	name, _, err := net.SplitHostPort(host)
	if err != nil {
		name = strings.Trim(host, "[]")
	}
	return backend.IsLoopback(name)
}

// patience is how long a request waits while Config.Requests others are under way.
const patience = 10 * time.Second

// enter takes a slot, and waits for one for up to patience. Unless it returns an error, the caller
// leaves.
func (x *exchange) enter() error {
	select {
	case x.slots <- struct{}{}:
		return nil
	default:
	}
	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case x.slots <- struct{}{}:
		return nil
	case <-late.C:
	case <-x.r.Context().Done():
	}
	return &verdict{status: http.StatusServiceUnavailable, code: grpc.Unavailable, text: "too many requests at once", after: time.Second}
}

// leave gives a slot back.
func (x *exchange) leave() { <-x.slots }

// endpoint is what a path stands for.
type endpoint interface{ serve(*exchange) }

// route returns what path stands for, or nil.
func (s *Server) route(path string) endpoint {
	first, rest, _ := strings.Cut(path, "/")
	switch first {
	case "v1":
		return objectEndpoint{path}
	case "cache":
		return cacheEndpoint{rest}
	}
	if isMethod("/" + path) {
		return notGRPC{}
	}
	return bazelEndpointOf(path)
}

const (
	maxName = 240  // how long a part of a key may be, in bytes and escaped: file systems allow 255
	maxPath = 1024 // how long a key may be, in bytes: S3 allows as many, and file systems 4096 once it is escaped
)

// parsePath returns the path of u without the slash before it, and with its parts unescaped. A
// slash at its end stays.
func parsePath(u *url.URL) (string, error) {
	escaped := strings.TrimPrefix(u.EscapedPath(), "/")
	if len(escaped) > 3*maxPath {
		return "", errors.New("the path is too long")
	}
	parts := strings.Split(escaped, "/")
	for i, part := range parts {
		name, err := url.PathUnescape(part)
		if err == nil {
			err = checkName(name, i == len(parts)-1)
		}
		if err != nil {
			return "", fmt.Errorf("malformed path: %w", err)
		}
		parts[i] = name
	}
	path := strings.Join(parts, "/")
	if len(path) > maxPath {
		return "", errors.New("the path is too long")
	}
	return path, nil
}

// readiness answers whether the store does.
type readiness struct{}

func (readiness) serve(x *exchange) {
	if !x.allows(http.MethodGet, http.MethodHead) {
		return
	}
	body, _, err := x.Store.Get(x.r.Context(), "v1/readyz", backend.Range{})
	switch {
	case err == nil:
		body.Close()
	case !errors.Is(err, backend.ErrNotFound):
		x.Log.Error("the store does not answer", "err", err)
		fail(x.w, http.StatusServiceUnavailable, "the store does not answer")
		return
	}
	text(x.w, http.StatusOK, "ok")
}

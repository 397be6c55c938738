package serve

import (
	"context"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/grpc"
	"github.com/larderbuild/larder/trace"
)

// This file says what spans have: those of requests by OpenTelemetry's conventions for HTTP
// servers, in version 1.23 or later, where they are stable.

type namedRoute struct{ in, route string }

// routes are the paths of each interface, as a name with few values.
var routes = [...]namedRoute{
	{"v1", "/v1/{key}"},
	{"cache", "/cache/{key}"},
	{actionCache, "/ac/{sha256}"},
	{contentStorage, "/cas/{sha256}"},
}

// methods are those that the conventions know. Others have one name together.
var methods = [...]string{
	http.MethodGet, http.MethodHead, http.MethodPut, http.MethodDelete, http.MethodPost,
	http.MethodPatch, http.MethodOptions, http.MethodTrace, http.MethodConnect,
}

// beginSpan begins the span of a request, unless it is one that machines send all the time to see
// how the server is. It returns the request with the span in its context.
func (s *Server) beginSpan(r *http.Request) (*http.Request, *trace.Span) {
	if s.Tracer == nil || slices.Contains([]string{"/metrics", "/healthz", "/readyz"}, r.URL.Path) {
		return r, nil
	}
	if grpc.IsCall(r) {
		return s.beginCall(r)
	}
	name := "HTTP"
	known := slices.Contains(methods[:], r.Method)
	if known {
		name = r.Method
	}
	in := interfaceOf(r.URL.Path)
	var route string
	if i := slices.IndexFunc(routes[:], func(e namedRoute) bool { return e.in == in }); i >= 0 {
		route = routes[i].route
		name += " " + route
	}
	ctx, span := s.Tracer.Serve(r.Context(), r.Header, name)
	if span == nil {
		return r, nil
	}
	if known {
		span.Set(trace.String("http.request.method", r.Method))
	} else {
		span.Set(trace.String("http.request.method", "_OTHER"), trace.String("http.request.method_original", r.Method))
	}
	if route != "" {
		span.Set(trace.String("http.route", route))
	}
	describe(span, r)
	return r.WithContext(ctx), span
}

// beginCall is beginSpan for a call of gRPC, by the conventions for these.
func (s *Server) beginCall(r *http.Request) (*http.Request, *trace.Span) {
	name := strings.TrimPrefix(r.URL.Path, "/")
	if !isMethod(r.URL.Path) {
		name = "other"
	}
	ctx, span := s.Tracer.Serve(r.Context(), r.Header, name)
	if span == nil {
		return r, nil
	}
	span.Set(trace.String("rpc.system", "grpc"))
	if service, method, ok := strings.Cut(name, "/"); ok {
		span.Set(trace.String("rpc.service", service), trace.String("rpc.method", method))
	}
	describe(span, r)
	return r.WithContext(ctx), span
}

// describe sets what the conventions want to know of every request. The query stays out, because
// a client may have put a secret there.
func describe(span *trace.Span, r *http.Request) {
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	host, port, err := net.SplitHostPort(r.Host)
	if err != nil {
		host = strings.Trim(r.Host, "[]")
	}
	version := strconv.Itoa(r.ProtoMajor)
	if r.ProtoMajor < 2 {
		version += "." + strconv.Itoa(r.ProtoMinor)
	}
	span.Set(trace.String("url.scheme", scheme), trace.String("url.path", r.URL.Path),
		trace.String("server.address", host), trace.String("network.protocol.version", version))
	if n, err := strconv.ParseUint(port, 10, 16); err == nil {
		span.Set(trace.Int("server.port", int64(n)))
	}
	if client, _, err := net.SplitHostPort(r.RemoteAddr); err == nil {
		span.Set(trace.String("client.address", client))
	}
	if agent := r.UserAgent(); agent != "" {
		span.Set(trace.String("user_agent.original", agent))
	}
}

// endSpan ends the span of a request that was answered by w, if it was.
func endSpan(span *trace.Span, w *loggedWriter) {
	switch {
	case w.method != "":
		span.Set(trace.Int("rpc.grpc.status_code", int64(w.code)))
		if isFault(w.code) {
			span.Set(trace.String("error.type", w.code.String()))
			span.Fail("")
		}
	case w.status > 0:
		span.Set(trace.Int("http.response.status_code", int64(w.status)))
		if w.status >= 500 {
			span.Set(trace.String("error.type", strconv.Itoa(w.status)))
			span.Fail("")
		}
	}
	span.End()
}

// withSpans returns a store whose requests have spans below those of the requests that cause
// them.
func withSpans(store backend.Store) backend.Store {
	kind := trace.Client
	if store.Traits().Ownerless { // a directory
		kind = trace.Internal
	}
	return backend.WithTrace(store, func(ctx context.Context, op string) func(backend.Record) {
		span := trace.Start(ctx, "store "+op, kind)
		return func(r backend.Record) {
			span.Set(trace.String("larder.store.operation", op), trace.String("larder.store.key", r.Key),
				trace.String("larder.store.outcome", r.Outcome()))
			if op == "list" {
				span.Set(trace.Int("larder.store.objects", r.Bytes))
			} else {
				span.Set(trace.Int("larder.store.bytes", r.Bytes))
			}
			if r.Failed() {
				span.Set(trace.String("error.type", r.Outcome()))
				span.Fail(r.Err.Error())
			}
			span.End()
		}
	})
}

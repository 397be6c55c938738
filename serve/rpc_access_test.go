package serve_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	repb "github.com/bazelbuild/remote-apis/build/bazel/remote/execution/v2"
	bspb "google.golang.org/genproto/googleapis/bytestream"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"

	"github.com/larderbuild/larder/serve"
	"github.com/larderbuild/larder/testserver"
)

// everyCall calls each method, and returns how the calls end: those that read, and those that write.
func (k *rpc) everyCall(ctx context.Context) (reading, writing map[string]error) {
	digest := digestOf("body")
	name := "uploads/id/" + blobName(plainBlobs, "body")
	reading, writing = map[string]error{}, map[string]error{}
	_, reading["capabilities"] = k.caps.GetCapabilities(ctx, &repb.GetCapabilitiesRequest{})
	_, reading["get"] = k.ac.GetActionResult(ctx, &repb.GetActionResultRequest{ActionDigest: digest})
	_, reading["find"] = k.cas.FindMissingBlobs(ctx, &repb.FindMissingBlobsRequest{})
	_, reading["read batch"] = k.cas.BatchReadBlobs(ctx, &repb.BatchReadBlobsRequest{})
	_, reading["read"] = k.read(ctx, blobName(plainBlobs, "body"), 0, 0)
	tree, err := k.cas.GetTree(ctx, &repb.GetTreeRequest{RootDigest: digest})
	if err == nil {
		_, err = tree.Recv()
	}
	reading["tree"] = err
	_, writing["update"] = k.ac.UpdateActionResult(ctx, &repb.UpdateActionResultRequest{ActionDigest: digest, ActionResult: &repb.ActionResult{ExitCode: 1}})
	_, writing["update batch"] = k.cas.BatchUpdateBlobs(ctx, &repb.BatchUpdateBlobsRequest{})
	_, writing["write"] = k.write(ctx, part(name, 0, "body", true))
	_, writing["status"] = k.bytes.QueryWriteStatus(ctx, &bspb.QueryWriteStatusRequest{ResourceName: name})
	return reading, writing
}

// TestRights: each method wants the right to read, or to write, and tells no more to those who have not.
func TestRights(t *testing.T) {
	t.Parallel()
	rules, err := serve.ParseRules([]byte(`{"anonymous": {"read": ["main"], "write": ["@cache"]}, "tokens": [
		{"token": "reader", "read": ["@bazel"]}, {"token": "writer", "write": ["@bazel"]}, {"token": "other", "write": ["main", "?bazel"]}]}`))
	if err != nil {
		t.Fatal(err)
	}
	k := openRPC(t, func(c *serve.Config) { c.Access = serve.NewAccess(rules, c.Log) })
	basic := "Basic " + base64.StdEncoding.EncodeToString([]byte("user:writer"))
	refused := map[codes.Code]bool{codes.Unauthenticated: true, codes.PermissionDenied: true}
	for authorization, want := range map[string]struct{ reading, writing codes.Code }{
		"":              {codes.Unauthenticated, codes.Unauthenticated},
		"Bearer wrong":  {codes.Unauthenticated, codes.Unauthenticated},
		"Bearer other":  {codes.PermissionDenied, codes.PermissionDenied},
		"Bearer reader": {codes.OK, codes.PermissionDenied},
		"Bearer writer": {codes.OK, codes.OK},
		basic:           {codes.OK, codes.OK},
	} {
		ctx := t.Context()
		if authorization != "" {
			ctx = metadata.AppendToOutgoingContext(ctx, "authorization", authorization)
		}
		reading, writing := k.everyCall(ctx)
		check := func(calls map[string]error, want codes.Code) {
			for name, err := range calls {
				got := grpcCode(err)
				if want == codes.OK && refused[got] || want != codes.OK && got != want {
					t.Errorf("%q: %s: %v, want %v", authorization, name, err, want)
				}
			}
		}
		check(reading, want.reading)
		check(writing, want.writing)
		if a, err := k.caps.GetCapabilities(ctx, &repb.GetCapabilitiesRequest{}); err == nil {
			if got := a.CacheCapabilities.ActionCacheUpdateCapabilities.UpdateEnabled; got != (want.writing == codes.OK) {
				t.Errorf("%q: updates are enabled: %v", authorization, got)
			}
		}
	}
}

// TestRPCLocal: a server for this machine alone answers no calls to other names.
func TestRPCLocal(t *testing.T) {
	t.Parallel()
	k := openRPC(t, func(c *serve.Config) { c.Local = true })
	if _, err := k.caps.GetCapabilities(t.Context(), &repb.GetCapabilitiesRequest{}); err != nil {
		t.Error(err)
	}
	other := *k
	other.connect(k.address(), grpc.WithAuthority("cache.example.com"), insecureOption)
	_, err := other.caps.GetCapabilities(t.Context(), &repb.GetCapabilitiesRequest{})
	wantCode(t, err, codes.PermissionDenied)
}

// TestRPCOverTLS: with TLS the client and the server agree on HTTP/2, and rules know client certificates.
func TestRPCOverTLS(t *testing.T) {
	t.Parallel()
	ca := testserver.NewAuthority(t)
	issue := func(name string) (cert, key string) { return ca.Issue(name, time.Now().Add(time.Hour)) }
	log := slog.New(slog.DiscardHandler)
	cert, key := issue("server")
	serverConfig, err := serve.Certificates{Cert: cert, Key: key, ClientCA: ca.File}.Config(log)
	if err != nil {
		t.Fatal(err)
	}
	rules, err := serve.ParseRules([]byte(`{"certificates": [{"name": "builder-*", "write": ["@bazel"]}]}`))
	if err != nil {
		t.Fatal(err)
	}
	cfg := config(t, t.TempDir())
	cfg.Access = serve.NewAccess(rules, log)
	server := httptest.NewUnstartedServer(serve.New(cfg))
	server.EnableHTTP2, server.TLS = true, serverConfig
	server.StartTLS()
	t.Cleanup(server.Close)
	pem, err := os.ReadFile(ca.File)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	for name, want := range map[string]codes.Code{"": codes.Unauthenticated, "builder-1": codes.OK, "other": codes.PermissionDenied} {
		client := &tls.Config{RootCAs: roots}
		if name != "" {
			pair, err := tls.LoadX509KeyPair(issue(name))
			if err != nil {
				t.Fatal(err)
			}
			client.Certificates = []tls.Certificate{pair}
		}
		k := &rpc{t: t}
		k.connect(server.Listener.Addr().String(), grpc.WithTransportCredentials(credentials.NewTLS(client)))
		_, err := k.caps.GetCapabilities(t.Context(), &repb.GetCapabilitiesRequest{})
		wantCode(t, err, want)
	}
}

// TestNoCalls: who does not speak gRPC to one of its methods is told what it needs.
func TestNoCalls(t *testing.T) {
	t.Parallel()
	k := openRPC(t, nil)
	http2 := &http.Transport{Protocols: new(http.Protocols)}
	http2.Protocols.SetUnencryptedHTTP2(true)
	defer http2.CloseIdleConnections()
	for _, test := range []struct {
		transport    http.RoundTripper
		method, kind string
		status       int
		says         string
	}{
		{http.DefaultTransport, "POST", "application/grpc", 505, "HTTP/2"},
		{http.DefaultTransport, "GET", "", 505, "HTTP/2"},
		{http2, "POST", "application/json", 415, "application/grpc"},
		{http2, "POST", "application/grpc-web", 415, "application/grpc"},
		{http2, "POST", "application/grpc+json", 415, "application/grpc"},
		{http2, "GET", "application/grpc", 405, "POST"},
		{http2, "POST", "application/grpc+proto", 200, ""},
	} {
		req, err := http.NewRequestWithContext(t.Context(), test.method, k.server.URL+"/build.bazel.remote.execution.v2.Capabilities/GetCapabilities", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", test.kind)
		res, err := test.transport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(res.Body)
		res.Body.Close()
		if res.StatusCode != test.status || !strings.Contains(string(body), test.says) {
			t.Errorf("%s %q: status %d: %s", test.method, test.kind, res.StatusCode, body)
		}
	}
	if a := http2Get(t, http2, k.server.URL+"/cas/"+sha256Of("nobody")); a != http.StatusNotFound {
		t.Errorf("status %d", a)
	}
	if a := http2Get(t, http2, k.server.URL+"/healthz"); a != http.StatusOK { // over the same connection
		t.Errorf("status %d", a)
	}
}

func http2Get(t *testing.T, transport http.RoundTripper, url string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := transport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	return res.StatusCode
}

// TestRPCLog: a call is a line in the log, and is counted, with its status.
func TestRPCLog(t *testing.T) {
	t.Parallel()
	log := new(lockedBuffer)
	k := openRPC(t, func(c *serve.Config) { c.Log = slog.New(slog.NewJSONHandler(log, nil)) })
	k.update("body")
	_, err := k.read(t.Context(), blobName(plainBlobs, "nobody"), 0, 0)
	wantCode(t, err, codes.NotFound)
	_ = k.conn.Invoke(t.Context(), "/made.up/By-"+strings.Repeat("x", 100), &repb.Digest{}, &repb.Digest{})
	for _, want := range [][2]string{{"/google.bytestream.ByteStream/Read", "NOT_FOUND"}, {"/build.bazel.remote.execution.v2.ContentAddressableStorage/BatchUpdateBlobs", "OK"}} {
		found := false
		await(t, func() bool {
			for line := range strings.Lines(log.String()) {
				var l struct {
					Path   string
					Status int
					Code   string `json:"grpc_status"`
				}
				if err := json.Unmarshal([]byte(line), &l); err != nil {
					t.Fatal(err)
				}
				found = found || l.Path == want[0] && l.Code == want[1] && l.Status == http.StatusOK
			}
			return found
		})
	}
	await(t, func() bool {
		res, err := http.Get(k.server.URL + "/metrics")
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range []string{
			`larder_http_requests_total{interface="grpc",method="POST",status="200"} 3`,
			`larder_grpc_calls_total{method="ByteStream/Read",code="NOT_FOUND"} 1`,
			`larder_grpc_calls_total{method="ContentAddressableStorage/BatchUpdateBlobs",code="OK"} 1`,
			`larder_grpc_calls_total{method="other",code="UNIMPLEMENTED"} 1`,
		} {
			if !strings.Contains(string(body), line+"\n") {
				return false
			}
		}
		return true
	})
}

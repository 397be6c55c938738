package integration

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	repb "github.com/bazelbuild/remote-apis/build/bazel/remote/execution/v2"
	"golang.org/x/sync/errgroup"
	bspb "google.golang.org/genproto/googleapis/bytestream"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	grpcstatus "google.golang.org/grpc/status"

	"github.com/larderbuild/larder/testserver"
)

// TestServeCalls: larder serve answers calls of gRPC at its port, with TLS and without.
func TestServeCalls(t *testing.T) {
	t.Parallel()
	ca := testserver.NewAuthority(t)
	cert, key := ca.Issue("server", time.Now().Add(time.Hour))
	rules := filepath.Join(t.TempDir(), "rules.json")
	if err := os.WriteFile(rules, []byte(`{"anonymous": {"read": ["@bazel"]}, "tokens": [{"token": "writer", "write": ["@bazel"]}]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	pem, err := os.ReadFile(ca.File)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	folder := filepath.Join(t.TempDir(), "served")
	for scheme, transport := range map[string]credentials.TransportCredentials{
		"http": insecure.NewCredentials(), "https": credentials.NewTLS(&tls.Config{RootCAs: roots}),
	} {
		flags := []string{"--store", fileURL(filepath.Join(folder, scheme)), "--access", rules}
		if scheme == "https" {
			flags = append(flags, "--tls-cert", cert, "--tls-key", key)
		}
		url := larderServe(t, scheme, flags...)
		conn, err := grpc.NewClient("passthrough:///"+strings.TrimPrefix(url, scheme+"://"), grpc.WithTransportCredentials(transport))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		cas := repb.NewContentAddressableStorageClient(conn)
		digest := &repb.Digest{Hash: fmt.Sprintf("%x", sha256.Sum256([]byte("body"))), SizeBytes: 4}
		q := &repb.BatchUpdateBlobsRequest{Requests: []*repb.BatchUpdateBlobsRequest_Request{{Digest: digest, Data: []byte("body")}}}
		if _, err := cas.BatchUpdateBlobs(t.Context(), q); grpcstatus.Code(err) != codes.Unauthenticated {
			t.Errorf("%s: without a token: %v", scheme, err)
		}
		ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer writer")
		if _, err := cas.BatchUpdateBlobs(ctx, q); err != nil {
			t.Errorf("%s: %v", scheme, err)
		}
		a, err := cas.BatchReadBlobs(t.Context(), &repb.BatchReadBlobsRequest{Digests: []*repb.Digest{digest}})
		if err != nil || string(a.Responses[0].Data) != "body" {
			t.Errorf("%s: %v, %v", scheme, a, err)
		}
	}
}

// TestServeCallsBehindNginx: what a call has come to goes through a proxy, also without a message.
func TestServeCallsBehindNginx(t *testing.T) {
	t.Parallel()
	url := larderServe(t, "http", "--store", fileURL(filepath.Join(t.TempDir(), "served")))
	cert, key := testserver.NewAuthority(t).Issue("server", time.Now().Add(time.Hour))
	addr := testserver.Nginx(t, "https", func(port int, _ string) string {
		return fmt.Sprintf("server { listen 127.0.0.1:%d ssl http2; ssl_certificate %s; ssl_certificate_key %s; location / { grpc_pass %s; } }",
			port, cert, key, strings.Replace(url, "http", "grpc", 1))
	})
	transport := credentials.NewTLS(&tls.Config{InsecureSkipVerify: true}) // nginx is not what this is about
	conn, err := grpc.NewClient("passthrough:///"+addr, grpc.WithTransportCredentials(transport))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	blob := []byte("body")
	if err := upload(t.Context(), bspb.NewByteStreamClient(conn), blob); err != nil {
		t.Error(err)
	}
	digest := &repb.Digest{Hash: fmt.Sprintf("%x", sha256.Sum256(blob)), SizeBytes: int64(len(blob))}
	_, err = repb.NewActionCacheClient(conn).GetActionResult(t.Context(), &repb.GetActionResultRequest{ActionDigest: digest})
	if grpcstatus.Code(err) != codes.NotFound {
		t.Errorf("no such result: %v", err)
	}
}

// TestServeCallsWaiting: uploads of one connection that wait for their turn do not keep back the
// one that has it.
func TestServeCallsWaiting(t *testing.T) {
	t.Parallel()
	url := larderServe(t, "http", "--store", fileURL(filepath.Join(t.TempDir(), "served")), "--requests", "1")
	conn, err := grpc.NewClient("passthrough:///"+strings.TrimPrefix(url, "http://"), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	var g errgroup.Group
	for i := range 8 {
		g.Go(func() error {
			return upload(t.Context(), bspb.NewByteStreamClient(conn), bytes.Repeat([]byte{byte(i)}, 2<<20))
		})
	}
	if err := g.Wait(); err != nil {
		t.Error(err)
	}
}

// upload uploads a blob in many messages.
func upload(ctx context.Context, client bspb.ByteStreamClient, blob []byte) error {
	s, err := client.Write(ctx)
	if err != nil {
		return err
	}
	q := &bspb.WriteRequest{ResourceName: fmt.Sprintf("uploads/u/blobs/%x/%d", sha256.Sum256(blob), len(blob))}
	for data := range slices.Chunk(blob, 64<<10) {
		q.Data = data
		q.FinishWrite = q.WriteOffset+int64(len(data)) == int64(len(blob))
		if s.Send(q) != nil { // CloseAndRecv says why
			break
		}
		q.WriteOffset += int64(len(data))
	}
	_, err = s.CloseAndRecv()
	return err
}

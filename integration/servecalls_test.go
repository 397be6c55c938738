package integration

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	repb "github.com/bazelbuild/remote-apis/build/bazel/remote/execution/v2"
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

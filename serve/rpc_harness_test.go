package serve_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	repb "github.com/bazelbuild/remote-apis/build/bazel/remote/execution/v2"
	"github.com/klauspost/compress/zstd"
	bspb "google.golang.org/genproto/googleapis/bytestream"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/larderbuild/larder/serve"
)

// rpc is a server in front of a directory, and clients of it that are made of the API's generated code.
type rpc struct {
	t       *testing.T
	root    string // of the store
	tempDir string
	server  *httptest.Server
	conn    *grpc.ClientConn
	caps    repb.CapabilitiesClient
	ac      repb.ActionCacheClient
	cas     repb.ContentAddressableStorageClient
	bytes   bspb.ByteStreamClient
}

// openRPC starts a server, without TLS. When the test ends, no temporary file may be left.
func openRPC(t *testing.T, change func(*serve.Config)) *rpc {
	t.Helper()
	k := &rpc{t: t, root: t.TempDir()}
	cfg := config(t, k.root)
	if change != nil {
		change(&cfg)
	}
	k.tempDir = cfg.TempDir
	handler := serve.New(cfg)
	k.server = httptest.NewUnstartedServer(handler)
	k.server.Config = handler.HTTP()
	k.server.Start()
	k.connect(k.address())
	t.Cleanup(func() {
		k.server.Close()
		handler.Close()
		if left := files(t, cfg.TempDir); len(left) > 0 {
			t.Errorf("temporary files that are left: %q", slices.Collect(maps.Keys(left)))
		}
	})
	return k
}

func (k *rpc) address() string { return k.server.Listener.Addr().String() }

// connect makes the clients, for the server at an address.
func (k *rpc) connect(address string, opts ...grpc.DialOption) {
	k.t.Helper()
	if len(opts) == 0 {
		opts = []grpc.DialOption{grpc.WithTransportCredentials(insecure.NewCredentials())}
	}
	conn, err := grpc.NewClient("passthrough:///"+address, opts...)
	if err != nil {
		k.t.Fatal(err)
	}
	k.t.Cleanup(func() { _ = conn.Close() }) // again, in some tests
	k.conn, k.caps, k.ac = conn, repb.NewCapabilitiesClient(conn), repb.NewActionCacheClient(conn)
	k.cas, k.bytes = repb.NewContentAddressableStorageClient(conn), bspb.NewByteStreamClient(conn)
}

func digestOf(body string) *repb.Digest {
	return &repb.Digest{Hash: sha256Of(body), SizeBytes: int64(len(body))}
}

// blobName returns the name of a blob to read; "compressed-blobs/zstd" may be its kind.
func blobName(kind, body string) string {
	return fmt.Sprintf("%s/%s/%d", kind, sha256Of(body), len(body))
}

const (
	plainBlobs  = "blobs"
	packedBlobs = "compressed-blobs/zstd"
)

// update stores blobs.
func (k *rpc) update(bodies ...string) {
	k.t.Helper()
	q := &repb.BatchUpdateBlobsRequest{}
	for _, body := range bodies {
		q.Requests = append(q.Requests, &repb.BatchUpdateBlobsRequest_Request{Digest: digestOf(body), Data: []byte(body)})
	}
	a, err := k.cas.BatchUpdateBlobs(k.t.Context(), q)
	if err != nil {
		k.t.Fatal(err)
	}
	for _, r := range a.Responses {
		if r.Status.GetCode() != 0 {
			k.t.Fatal(r)
		}
	}
}

// read reads a resource.
func (k *rpc) read(ctx context.Context, name string, offset, limit int64) (string, error) {
	s, err := k.bytes.Read(ctx, &bspb.ReadRequest{ResourceName: name, ReadOffset: offset, ReadLimit: limit})
	if err != nil {
		return "", err
	}
	var all bytes.Buffer
	for {
		part, err := s.Recv()
		if errors.Is(err, io.EOF) {
			return all.String(), nil
		}
		if err != nil {
			return all.String(), err
		}
		all.Write(part.Data)
	}
}

// write sends requests of one upload. It returns the committed size.
func (k *rpc) write(ctx context.Context, requests ...*bspb.WriteRequest) (int64, error) {
	s, err := k.bytes.Write(ctx)
	if err != nil {
		return 0, err
	}
	for _, q := range requests {
		if s.Send(q) != nil { // then the server has answered
			break
		}
	}
	a, err := s.CloseAndRecv()
	return a.GetCommittedSize(), err
}

// part is a request of an upload.
func part(name string, offset int, data string, finish bool) *bspb.WriteRequest {
	return &bspb.WriteRequest{ResourceName: name, WriteOffset: int64(offset), Data: []byte(data), FinishWrite: finish}
}

// committed returns what the server says of an upload.
func (k *rpc) committed(name string) (int64, bool, error) {
	a, err := k.bytes.QueryWriteStatus(k.t.Context(), &bspb.QueryWriteStatusRequest{ResourceName: name})
	return a.GetCommittedSize(), a.GetComplete(), err
}

// missing returns those of the blobs that are missing.
func (k *rpc) missing(digests ...*repb.Digest) []*repb.Digest {
	k.t.Helper()
	a, err := k.cas.FindMissingBlobs(k.t.Context(), &repb.FindMissingBlobsRequest{BlobDigests: digests})
	if err != nil {
		k.t.Fatal(err)
	}
	return a.MissingBlobDigests
}

func unzstd(t *testing.T, packed string) string {
	t.Helper()
	r, err := zstd.NewReader(strings.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	body, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// wantCode checks how a call has failed.
func wantCode(t *testing.T, err error, want codes.Code) {
	t.Helper()
	if got := status.Code(err); got != want {
		t.Errorf("%v: %v, want %v", got, err, want)
	}
}

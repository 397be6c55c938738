package reapi_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	pb "github.com/bazelbuild/remote-apis/build/bazel/remote/execution/v2"
	"github.com/bazelbuild/remote-apis/build/bazel/semver"
	"google.golang.org/genproto/googleapis/bytestream"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// cache is a cache in memory, made of the usual library and the API's own code. A test sets what
// it does wrong before it sends requests.
type cache struct {
	pb.UnimplementedCapabilitiesServer
	pb.UnimplementedActionCacheServer
	pb.UnimplementedContentAddressableStorageServer
	bytestream.UnimplementedByteStreamServer

	url string

	fail   map[string]error                 // by the name of a method
	hang   string                           // the method that does not answer
	enter  func(context.Context) error      // before each call
	can    func(*pb.ServerCapabilities)     // what it says of itself
	inline func(*pb.OutputFile)             // what comes with a result
	batch  func(*pb.BatchReadBlobsResponse) // what comes as a batch
	stored func(*pb.BatchUpdateBlobsResponse)
	read   func(*bytestream.ReadRequest, bytestream.ByteStream_ReadServer) error
	write  func(bytestream.ByteStream_WriteServer) error

	hangs   chan struct{} // gets an element when a method hangs
	mu      sync.Mutex
	calls   []string
	blobs   map[string][]byte
	results map[string]*pb.ActionResult
}

// newCache starts a cache, which ends with the test.
func newCache(t *testing.T, options ...grpc.ServerOption) *cache {
	t.Helper()
	c := &cache{blobs: make(map[string][]byte), results: make(map[string]*pb.ActionResult), hangs: make(chan struct{}, 100)}
	server := grpc.NewServer(slices.Concat(options, []grpc.ServerOption{
		grpc.UnaryInterceptor(func(ctx context.Context, req any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
			if err := c.begin(ctx, info.FullMethod); err != nil {
				return nil, err
			}
			return handle(ctx, req)
		}),
		grpc.StreamInterceptor(func(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handle grpc.StreamHandler) error {
			if err := c.begin(stream.Context(), info.FullMethod); err != nil {
				return err
			}
			return handle(srv, stream)
		}),
		grpc.MaxSendMsgSize(100 << 20),
	})...)
	pb.RegisterCapabilitiesServer(server, c)
	pb.RegisterActionCacheServer(server, c)
	pb.RegisterContentAddressableStorageServer(server, c)
	bytestream.RegisterByteStreamServer(server, c)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go server.Serve(l)
	t.Cleanup(server.Stop)
	c.url = "grpc://" + l.Addr().String() + "/team"
	return c
}

// begin notes a call, and returns the error with which it fails.
func (c *cache) begin(ctx context.Context, method string) error {
	name := path.Base(method)
	c.mu.Lock()
	c.calls = append(c.calls, name)
	c.mu.Unlock()
	if c.hang == name {
		c.hangs <- struct{}{}
		<-ctx.Done()
		return ctx.Err()
	}
	if c.enter != nil {
		if err := c.enter(ctx); err != nil {
			return err
		}
	}
	return c.fail[name]
}

// called returns the names of the methods that were called since the last time.
func (c *cache) called() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	names := strings.Join(c.calls, " ")
	c.calls = nil
	return names
}

// last returns the names of the methods that were called so far.
func (c *cache) last() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return strings.Join(c.calls, " ")
}

// forget removes all blobs.
func (c *cache) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.blobs)
}

func (c *cache) blob(hash string) ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	data, ok := c.blobs[hash]
	if !ok {
		return nil, status.Error(codes.NotFound, "no such blob")
	}
	return data, nil
}

func (c *cache) store(d *pb.Digest, data []byte) error {
	sum := sha256.Sum256(data)
	if hex.EncodeToString(sum[:]) != d.Hash || int64(len(data)) != d.SizeBytes {
		return status.Error(codes.InvalidArgument, "not the digest")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.blobs[d.Hash] = slices.Clone(data)
	return nil
}

func (c *cache) GetCapabilities(context.Context, *pb.GetCapabilitiesRequest) (*pb.ServerCapabilities, error) {
	s := &pb.ServerCapabilities{
		CacheCapabilities: &pb.CacheCapabilities{
			DigestFunctions:               []pb.DigestFunction_Value{pb.DigestFunction_BLAKE3, pb.DigestFunction_SHA256},
			ActionCacheUpdateCapabilities: &pb.ActionCacheUpdateCapabilities{UpdateEnabled: true},
		},
		LowApiVersion: &semver.SemVer{Major: 2}, HighApiVersion: &semver.SemVer{Major: 2, Minor: 11},
	}
	if c.can != nil {
		c.can(s)
	}
	return s, nil
}

func (c *cache) GetActionResult(_ context.Context, req *pb.GetActionResultRequest) (*pb.ActionResult, error) {
	c.mu.Lock()
	r, ok := c.results[req.InstanceName+" "+req.ActionDigest.Hash]
	c.mu.Unlock()
	if !ok {
		return nil, status.Error(codes.NotFound, "no such action")
	}
	if c.inline != nil {
		for _, f := range r.OutputFiles {
			c.inline(f)
		}
	}
	return r, nil
}

func (c *cache) UpdateActionResult(_ context.Context, req *pb.UpdateActionResultRequest) (*pb.ActionResult, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.results[req.InstanceName+" "+req.ActionDigest.Hash] = req.ActionResult
	return req.ActionResult, nil
}

func (c *cache) FindMissingBlobs(_ context.Context, req *pb.FindMissingBlobsRequest) (*pb.FindMissingBlobsResponse, error) {
	res := new(pb.FindMissingBlobsResponse)
	for _, d := range req.BlobDigests {
		if _, err := c.blob(d.Hash); err != nil {
			res.MissingBlobDigests = append(res.MissingBlobDigests, d)
		}
	}
	return res, nil
}

func (c *cache) BatchUpdateBlobs(_ context.Context, req *pb.BatchUpdateBlobsRequest) (*pb.BatchUpdateBlobsResponse, error) {
	res := new(pb.BatchUpdateBlobsResponse)
	for _, r := range req.Requests {
		res.Responses = append(res.Responses, &pb.BatchUpdateBlobsResponse_Response{
			Digest: r.Digest, Status: status.Convert(c.store(r.Digest, r.Data)).Proto(),
		})
	}
	if c.stored != nil {
		c.stored(res)
	}
	return res, nil
}

func (c *cache) BatchReadBlobs(_ context.Context, req *pb.BatchReadBlobsRequest) (*pb.BatchReadBlobsResponse, error) {
	res := new(pb.BatchReadBlobsResponse)
	for _, d := range req.Digests {
		data, err := c.blob(d.Hash)
		res.Responses = append(res.Responses, &pb.BatchReadBlobsResponse_Response{
			Digest: d, Data: data, Status: status.Convert(err).Proto(),
		})
	}
	if c.batch != nil {
		c.batch(res)
	}
	return res, nil
}

func (c *cache) Read(req *bytestream.ReadRequest, stream bytestream.ByteStream_ReadServer) error {
	if c.read != nil {
		return c.read(req, stream)
	}
	parts := strings.Split(req.ResourceName, "/")
	data, err := c.blob(parts[len(parts)-2])
	if err != nil {
		return err
	}
	data = data[req.ReadOffset:]
	if req.ReadLimit > 0 {
		data = data[:min(req.ReadLimit, int64(len(data)))]
	}
	for chunk := range slices.Chunk(data, 100_000) {
		if err := stream.Send(&bytestream.ReadResponse{Data: chunk}); err != nil {
			return err
		}
	}
	return nil
}

func (c *cache) Write(stream bytestream.ByteStream_WriteServer) error {
	if c.write != nil {
		return c.write(stream)
	}
	var name string
	var data []byte
	for finished := false; !finished; {
		m, err := stream.Recv()
		switch {
		case err == io.EOF:
			return status.Error(codes.InvalidArgument, "not finished")
		case err != nil:
			return err
		case int64(len(data)) != m.WriteOffset || len(m.Data) > 1<<20 || (name == "") != (len(data) == 0):
			return status.Error(codes.OutOfRange, "wrong offset or chunk")
		case m.ResourceName != "":
			name = m.ResourceName
		}
		data, finished = append(data, m.Data...), m.FinishWrite
	}
	parts := strings.Split(name, "/")
	if len(parts) != 6 || parts[0] != "team" || parts[1] != "uploads" || len(parts[2]) != 36 || parts[3] != "blobs" {
		return status.Error(codes.InvalidArgument, "not the name of an upload: "+name)
	}
	size, err := strconv.ParseInt(parts[5], 10, 64)
	if err == nil {
		err = c.store(&pb.Digest{Hash: parts[4], SizeBytes: size}, data)
	}
	if err != nil {
		return err
	}
	return stream.SendAndClose(&bytestream.WriteResponse{CommittedSize: size})
}

// headerOf returns what a call has in a header.
func headerOf(ctx context.Context, name string) string {
	return strings.Join(metadata.ValueFromIncomingContext(ctx, name), ", ")
}

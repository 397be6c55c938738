package reapi_test

import (
	"bytes"
	"io"
	"strings"
	"testing"

	pb "github.com/bazelbuild/remote-apis/build/bazel/remote/execution/v2"
	"google.golang.org/genproto/googleapis/bytestream"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/backend/backendtest"
)

// TestCalls: which calls a request makes.
func TestCalls(t *testing.T) {
	t.Parallel()
	c := newCache(t)
	s := openFor(t, c.url)
	put := func(key string) { backendtest.PutBytes(t, s, key, []byte(contents[key])) }
	inline := func(f *pb.OutputFile) { f.Contents = []byte(contents[small]) }
	for _, test := range []struct {
		name, calls string
		do          func()
	}{
		{"the first put", "GetCapabilities BatchUpdateBlobs UpdateActionResult", func() { put(small) }},
		{"a large one", "FindMissingBlobs Write UpdateActionResult", func() { put(large) }},
		{"it is there", "FindMissingBlobs UpdateActionResult", func() { put(large) }},
		{"get", "GetActionResult BatchReadBlobs", func() { get(t, s, small, backend.Range{}) }},
		{"a large one", "GetActionResult Read", func() { get(t, s, large, backend.Range{}) }},
		{"a part", "GetActionResult Read", func() { get(t, s, small, backend.Range{Offset: 1, Length: 2}) }},
		{"behind the end", "GetActionResult", func() { get(t, s, small, backend.Range{Offset: 4}) }},
		{"missing", "GetActionResult", func() { get(t, s, "missing", backend.Range{}) }},
		{"inline", "GetActionResult", func() { c.inline = inline; get(t, s, small, backend.Range{}) }},
	} {
		test.do()
		if calls := c.called(); calls != test.calls {
			t.Errorf("%s: %s, want %s", test.name, calls, test.calls)
		}
	}
}

// TestBatchLimits: how large a blob may be that goes in a batch.
func TestBatchLimits(t *testing.T) {
	t.Parallel()
	for limit, batched := range map[int64]bool{0: true, 3: false, 4: true, 1 << 40: true} {
		c := newCache(t)
		c.can = func(s *pb.ServerCapabilities) { s.CacheCapabilities.MaxBatchTotalSizeBytes = limit }
		s := openFor(t, c.url)
		backendtest.PutBytes(t, s, small, []byte(contents[small]))
		if data, err := get(t, s, small, backend.Range{}); err != nil || data != contents[small] {
			t.Errorf("limit %d: %q, %v", limit, data, err)
		}
		if calls := c.called(); strings.Contains(calls, "BatchUpdateBlobs") != batched || strings.Contains(calls, "BatchReadBlobs") != batched {
			t.Errorf("limit %d: calls %s", limit, calls)
		}
	}
}

// sending has a Read send chunks, and then fail with err.
func sending(err error, chunks ...string) func(*bytestream.ReadRequest, bytestream.ByteStream_ReadServer) error {
	return func(_ *bytestream.ReadRequest, stream bytestream.ByteStream_ReadServer) error {
		for _, chunk := range chunks {
			if err := stream.Send(&bytestream.ReadResponse{Data: []byte(chunk)}); err != nil {
				return err
			}
		}
		return err
	}
}

// TestLies: bytes that are not what the digest says are an error, and the last of them are not
// given out.
func TestLies(t *testing.T) {
	t.Parallel()
	half, other := contents[large][:1<<20], strings.ToUpper(contents[large])
	digest := func(hash string, size int64) func(*pb.OutputFile) {
		return func(f *pb.OutputFile) { f.Digest = &pb.Digest{Hash: hash, SizeBytes: size} }
	}
	hash := strings.Repeat("ab", 32)
	for name, test := range map[string]struct {
		key   string
		lie   func(*cache)
		means error
	}{
		"inline, other bytes":   {small, func(c *cache) { c.inline = func(f *pb.OutputFile) { f.Contents = []byte("DATA") } }, errFault},
		"inline, fewer bytes":   {small, func(c *cache) { c.inline = func(f *pb.OutputFile) { f.Contents = []byte("dat") } }, errFault},
		"inline, of a large":    {large, func(c *cache) { c.inline = func(f *pb.OutputFile) { f.Contents = []byte("data") } }, errFault},
		"another file":          {small, func(c *cache) { c.inline = func(f *pb.OutputFile) { f.Path = "a.out" } }, backend.ErrNotFound},
		"no digest":             {small, func(c *cache) { c.inline = func(f *pb.OutputFile) { f.Digest = nil } }, errFault},
		"a hash of nothing":     {small, func(c *cache) { c.inline = digest(hash, 0) }, errFault},
		"a negative size":       {small, func(c *cache) { c.inline = digest(hash, -1) }, errFault},
		"a short hash":          {small, func(c *cache) { c.inline = digest("ab/../x", 1) }, errFault},
		"another size":          {small, func(c *cache) { c.inline = func(f *pb.OutputFile) { f.Digest.SizeBytes++ } }, errFault},
		"a huge size":           {large, func(c *cache) { c.inline = func(f *pb.OutputFile) { f.Digest.SizeBytes = 1 << 62 } }, errFault},
		"batch, other bytes":    {small, func(c *cache) { c.batch = func(r *pb.BatchReadBlobsResponse) { r.Responses[0].Data = []byte("DATA") } }, errFault},
		"batch, nothing":        {small, func(c *cache) { c.batch = func(r *pb.BatchReadBlobsResponse) { r.Responses = nil } }, errFault},
		"batch, another digest": {small, func(c *cache) { c.batch = func(r *pb.BatchReadBlobsResponse) { r.Responses[0].Digest.SizeBytes++ } }, errFault},
		"batch, compressed": {small, func(c *cache) {
			c.batch = func(r *pb.BatchReadBlobsResponse) { r.Responses[0].Compressor = pb.Compressor_ZSTD }
		}, errFault},
		"batch, gone":          {small, (*cache).forget, backend.ErrNotFound},
		"stream, gone":         {large, (*cache).forget, backend.ErrNotFound},
		"stream, other bytes":  {large, func(c *cache) { c.read = sending(nil, other) }, errFault},
		"stream, nothing":      {large, func(c *cache) { c.read = sending(nil) }, errFault},
		"stream, fewer bytes":  {large, func(c *cache) { c.read = sending(nil, half) }, errFault},
		"stream, more bytes":   {large, func(c *cache) { c.read = sending(nil, contents[large], "x") }, errFault},
		"stream, more at once": {large, func(c *cache) { c.read = sending(nil, contents[large]+"x") }, errFault},
		"stream, breaks":       {large, func(c *cache) { c.read = sending(status.Error(codes.Internal, "disk"), half) }, errFault},
		"stream, gone halfway": {large, func(c *cache) { c.read = sending(status.Error(codes.NotFound, "evicted"), half) }, backend.ErrNotFound},
		"stream, fails after":  {large, func(c *cache) { c.read = sending(status.Error(codes.DataLoss, "disk"), contents[large]) }, errFault},
		"stream, empty":        {large, func(c *cache) { c.read = endless(0) }, errFault},
		"stream, endless":      {large, func(c *cache) { c.read = endless(1 << 20) }, errFault},
		"stream, huge":         {large, func(c *cache) { c.read = endless(20 << 20) }, errFault},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCache(t)
			fill(t, c)
			test.lie(c)
			data, err := get(t, openFor(t, c.url), test.key, backend.Range{})
			means(t, "get", err, test.means)
			if len(data) == len(contents[test.key]) && data != contents[test.key] {
				t.Error("all bytes were given out")
			}
		})
	}
}

// endless has a Read send messages of n bytes without end.
func endless(n int) func(*bytestream.ReadRequest, bytestream.ByteStream_ReadServer) error {
	return func(_ *bytestream.ReadRequest, stream bytestream.ByteStream_ReadServer) error {
		m := &bytestream.ReadResponse{Data: make([]byte, n)}
		for {
			if err := stream.Send(m); err != nil {
				return err
			}
		}
	}
}

// TestLimitOfRead: a server that does not do what a limit says is asked without one.
func TestLimitOfRead(t *testing.T) {
	t.Parallel()
	part := backend.Range{Offset: 10, Length: 1_500_000}
	want := contents[large][part.Offset:][:part.Length]
	rest := func(req *bytestream.ReadRequest, stream bytestream.ByteStream_ReadServer) error {
		return sending(nil, contents[large][req.ReadOffset:])(req, stream)
	}
	for name, test := range map[string]struct {
		read  func(*bytestream.ReadRequest, bytestream.ByteStream_ReadServer) error
		calls string
	}{
		"fails at once": {sending(status.Error(codes.OutOfRange, "limit")), "GetActionResult Read Read GetActionResult Read"},
		"fails halfway": {sending(status.Error(codes.OutOfRange, "limit"), want[:1000]), "GetActionResult Read Read GetActionResult Read"},
		"fails after":   {sending(status.Error(codes.OutOfRange, "limit"), want), "GetActionResult Read GetActionResult Read"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCache(t)
			fill(t, c)
			c.read = func(req *bytestream.ReadRequest, stream bytestream.ByteStream_ReadServer) error {
				if req.ReadLimit > 0 {
					return test.read(req, stream)
				}
				return rest(req, stream)
			}
			s := openFor(t, c.url)
			for range 2 {
				if data, err := get(t, s, large, part); err != nil || data != want {
					t.Errorf("%d bytes, %v; want %d", len(data), err, len(want))
				}
			}
			if calls := c.called(); calls != "GetCapabilities "+test.calls {
				t.Errorf("calls %s", calls)
			}
		})
	}
}

// TestUploads: how an upload may end.
func TestUploads(t *testing.T) {
	t.Parallel()
	size := int64(len(contents[large]))
	early := func(committed int64) func(*cache) {
		return func(c *cache) {
			c.write = func(stream bytestream.ByteStream_WriteServer) error {
				if _, err := stream.Recv(); err != nil {
					return err
				}
				return stream.SendAndClose(&bytestream.WriteResponse{CommittedSize: committed})
			}
		}
	}
	for name, test := range map[string]struct {
		key   string
		set   func(*cache)
		means error // nil: success
	}{
		"early, it is there now": {large, early(size), nil},
		"early, too few bytes":   {large, early(1000), errFault},
		"fails halfway": {large, func(c *cache) {
			c.write = func(stream bytestream.ByteStream_WriteServer) error {
				_, _ = stream.Recv()
				return status.Error(codes.Aborted, "another time")
			}
		}, errFault},
		"ends without an answer": {large, func(c *cache) {
			c.write = func(stream bytestream.ByteStream_WriteServer) error { return nil }
		}, errFault},
		"the batch says nothing": {small, func(c *cache) {
			c.stored = func(r *pb.BatchUpdateBlobsResponse) { r.Responses = nil }
		}, errFault},
		"the batch, other bytes": {small, func(c *cache) {
			c.stored = func(r *pb.BatchUpdateBlobsResponse) {
				r.Responses[0].Status = status.New(codes.InvalidArgument, "no").Proto()
			}
		}, backend.ErrDigest},
		"the batch, no space": {small, func(c *cache) {
			c.stored = func(r *pb.BatchUpdateBlobsResponse) {
				r.Responses[0].Status = status.New(codes.ResourceExhausted, "no").Proto()
			}
		}, errBusy},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCache(t)
			test.set(c)
			err := call(t, openFor(t, c.url), "put", test.key)
			if test.means != nil || err != nil {
				means(t, "put", err, test.means)
			}
			if stored := strings.Contains(c.called(), "UpdateActionResult"); stored != (test.means == nil) {
				t.Errorf("the result was stored: %t", stored)
			}
		})
	}
}

// TestChangedBody: a body that is not the same when it is read again is not stored.
func TestChangedBody(t *testing.T) {
	t.Parallel()
	for _, key := range []string{small, large} {
		c := newCache(t)
		body := &changing{Reader: bytes.NewReader([]byte(contents[key]))}
		_, err := openFor(t, c.url).Put(t.Context(), key, body, backend.OptionsOf([]byte(contents[key])))
		means(t, key, err, backend.ErrDigest)
		if strings.Contains(c.called(), "UpdateActionResult") {
			t.Errorf("%s: the result was stored", key)
		}
	}
}

// changing has other bytes once it was read to its end.
type changing struct {
	*bytes.Reader
	changed bool
}

func (c *changing) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	if c.changed && n > 0 {
		p[0]++
	}
	c.changed = c.changed || err == io.EOF
	return n, err
}

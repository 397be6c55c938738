package serve_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	repb "github.com/bazelbuild/remote-apis/build/bazel/remote/execution/v2"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
)

// TestRules: what REAPI says of its caches. Each row says how a call ends.
func TestRules(t *testing.T) {
	t.Parallel()
	k := openRPC(t, nil)
	k.update("0123456789")
	const none = "nobody has stored this"
	long := zeros(100_001)
	many := &repb.FindMissingBlobsRequest{InstanceName: strings.Repeat("x", 5<<20)}
	type find = repb.FindMissingBlobsRequest
	ctx := t.Context()
	finds := func(q *find) func() error {
		return func() error { _, err := k.cas.FindMissingBlobs(ctx, q); return err }
	}
	updates := func(q *repb.BatchUpdateBlobsRequest) func() error {
		return func() error { _, err := k.cas.BatchUpdateBlobs(ctx, q); return err }
	}
	reads := func(name string, offset, limit int64) func() error {
		return func() error { _, err := k.read(ctx, name, offset, limit); return err }
	}
	gets := func(q *repb.GetActionResultRequest) func() error {
		return func() error { _, err := k.ac.GetActionResult(ctx, q); return err }
	}
	puts := func(q *repb.UpdateActionResultRequest) func() error {
		return func() error { _, err := k.ac.UpdateActionResult(ctx, q); return err }
	}
	trees := func(q *repb.GetTreeRequest) func() error {
		return func() error {
			s, err := k.cas.GetTree(ctx, q)
			if err == nil {
				_, err = s.Recv()
			}
			return err
		}
	}
	blob := blobName(plainBlobs, "0123456789")
	action := digestOf("action")
	for _, row := range []struct {
		name string
		call func() error
		want codes.Code
	}{
		{"instance with a word of the API", finds(&find{InstanceName: "a/blobs"}), codes.InvalidArgument},
		{"instance with an empty part", finds(&find{InstanceName: "a//b"}), codes.InvalidArgument},
		{"instance with dots", finds(&find{InstanceName: "../a"}), codes.InvalidArgument},
		{"instance that is too long", finds(&find{InstanceName: strings.Repeat("x", 300)}), codes.InvalidArgument},
		{"instance with parts", finds(&find{InstanceName: "team/a b/c"}), codes.OK},
		{"capabilities of no instance", func() error {
			_, err := k.caps.GetCapabilities(ctx, &repb.GetCapabilitiesRequest{InstanceName: "uploads"})
			return err
		}, codes.InvalidArgument},
		{"another digest function", finds(&find{DigestFunction: repb.DigestFunction_BLAKE3}), codes.InvalidArgument},
		{"SHA-256 by name", finds(&find{DigestFunction: repb.DigestFunction_SHA256}), codes.OK},
		{"another digest function: action", gets(&repb.GetActionResultRequest{ActionDigest: action, DigestFunction: repb.DigestFunction_SHA1}), codes.InvalidArgument},
		{"another digest function: update", puts(&repb.UpdateActionResultRequest{ActionDigest: action, DigestFunction: repb.DigestFunction_SHA1}), codes.InvalidArgument},
		{"another digest function: batch", updates(&repb.BatchUpdateBlobsRequest{DigestFunction: repb.DigestFunction_MD5}), codes.InvalidArgument},
		{"another digest function: tree", trees(&repb.GetTreeRequest{DigestFunction: repb.DigestFunction_MD5}), codes.InvalidArgument},
		{"malformed digest", finds(&find{BlobDigests: []*repb.Digest{{Hash: "xyz"}}}), codes.InvalidArgument},
		{"digest in upper case", finds(&find{BlobDigests: []*repb.Digest{{Hash: strings.ToUpper(sha256Of("a"))}}}), codes.InvalidArgument},
		{"negative size", finds(&find{BlobDigests: []*repb.Digest{{Hash: sha256Of("a"), SizeBytes: -1}}}), codes.InvalidArgument},
		{"message above the limit", finds(many), codes.ResourceExhausted},
		{"update above the limit of a batch", updates(batchOf(3<<20 + 1)), codes.InvalidArgument},
		{"update at the limit of a batch", updates(batchOf(3 << 20)), codes.OK}, // and each blob is too large
		{"read above the limit of a batch", func() error {
			_, err := k.cas.BatchReadBlobs(ctx, &repb.BatchReadBlobsRequest{Digests: []*repb.Digest{{Hash: sha256Of("a"), SizeBytes: 2 << 20}, {Hash: sha256Of("b"), SizeBytes: 2 << 20}}})
			return err
		}, codes.InvalidArgument},
		{"sizes that overflow", func() error {
			_, err := k.cas.BatchReadBlobs(ctx, &repb.BatchReadBlobsRequest{Digests: []*repb.Digest{{Hash: sha256Of("a"), SizeBytes: 1 << 62}, {Hash: sha256Of("b"), SizeBytes: 1 << 62}}})
			return err
		}, codes.InvalidArgument},
		{"read", reads(blob, 0, 0), codes.OK},
		{"read of an instance", reads("team/main/"+blob, 0, 0), codes.OK},
		{"read of another instance's name", reads("team//"+blob, 0, 0), codes.InvalidArgument},
		{"read of what is not there", reads(blobName(plainBlobs, none), 0, 0), codes.NotFound},
		{"read of what is not there, zstd", reads(blobName(packedBlobs, none), 0, 0), codes.NotFound},
		{"read of another size", reads("blobs/"+sha256Of("0123456789")+"/9", 0, 0), codes.NotFound},
		{"read of another size, behind it", reads("blobs/"+sha256Of("0123456789")+"/20", 15, 0), codes.NotFound},
		{"offset at the end", reads(blob, 10, 0), codes.OK},
		{"offset behind the end", reads(blob, 11, 0), codes.OutOfRange},
		{"offset behind the end of what is not there", reads(blobName(plainBlobs, none), 100, 0), codes.NotFound},
		{"negative offset", reads(blob, -1, 0), codes.OutOfRange},
		{"negative limit", reads(blob, 0, -1), codes.InvalidArgument},
		{"limit with zstd", reads(blobName(packedBlobs, "0123456789"), 0, 1), codes.InvalidArgument},
		{"another compressor", reads("compressed-blobs/deflate/"+sha256Of("0123456789")+"/10", 0, 0), codes.InvalidArgument},
		{"read by the name of an upload", reads("uploads/u/"+blob, 0, 0), codes.InvalidArgument},
		{"read of no resource", reads("nonsense", 0, 0), codes.InvalidArgument},
		{"the empty blob", reads(blobName(plainBlobs, ""), 0, 0), codes.OK},
		{"the empty blob, of another size", reads("blobs/"+sha256Of("")+"/1", 0, 0), codes.NotFound},
		{"write by the name of a blob", func() error { _, err := k.write(ctx, part(blob, 0, "x", true)); return err }, codes.InvalidArgument},
		{"write without a message", func() error { _, err := k.write(ctx); return err }, codes.InvalidArgument},
		{"write of too large a blob", func() error {
			_, err := k.write(ctx, part("uploads/u/"+blobName(plainBlobs, long), 0, long, true))
			return err
		}, codes.InvalidArgument},
		{"status by the name of a blob", func() error { _, _, err := k.committed(blob); return err }, codes.InvalidArgument},
		{"no such result", gets(&repb.GetActionResultRequest{ActionDigest: action}), codes.NotFound},
		{"malformed action digest", gets(&repb.GetActionResultRequest{ActionDigest: &repb.Digest{Hash: "../../x"}}), codes.InvalidArgument},
		{"no action digest", gets(&repb.GetActionResultRequest{}), codes.InvalidArgument},
		{"update without a result", puts(&repb.UpdateActionResultRequest{ActionDigest: action}), codes.InvalidArgument},
		{"update without an action digest", puts(&repb.UpdateActionResultRequest{ActionResult: &repb.ActionResult{ExitCode: 1}}), codes.InvalidArgument},
		{"update with a malformed digest", puts(&repb.UpdateActionResultRequest{ActionDigest: action, ActionResult: &repb.ActionResult{StdoutDigest: &repb.Digest{Hash: "x"}}}), codes.InvalidArgument},
		{"update that is too large", puts(&repb.UpdateActionResultRequest{ActionDigest: action, ActionResult: &repb.ActionResult{StdoutRaw: make([]byte, 200_000)}}), codes.InvalidArgument},
		{"tree that is not there", trees(&repb.GetTreeRequest{RootDigest: digestOf(none)}), codes.NotFound},
		{"tree that is none", trees(&repb.GetTreeRequest{RootDigest: digestOf("0123456789")}), codes.NotFound},
		{"tree with a token of another server", trees(&repb.GetTreeRequest{RootDigest: digestOf(""), PageToken: "x"}), codes.InvalidArgument},
		{"an empty tree", trees(&repb.GetTreeRequest{RootDigest: digestOf("")}), codes.OK},
		{"a method that larder does not have", func() error {
			s, err := repb.NewExecutionClient(k.conn).Execute(ctx, &repb.ExecuteRequest{})
			if err == nil {
				_, err = s.Recv()
			}
			return err
		}, codes.Unimplemented},
		{"a header with another resource", func() error {
			ctx := metadata.AppendToOutgoingContext(ctx, "build.bazel.remote.execution.v2.resource-name", "blobs/x")
			_, err := k.read(ctx, blob, 0, 0)
			return err
		}, codes.InvalidArgument},
		{"a header with the resource", func() error {
			ctx := metadata.AppendToOutgoingContext(ctx, "build.bazel.remote.execution.v2.resource-name", blob)
			_, err := k.read(ctx, blob, 0, 0)
			return err
		}, codes.OK},
	} {
		t.Run(row.name, func(t *testing.T) { wantCode(t, row.call(), row.want) })
	}
}

// batchOf is a batch of two blobs, of size bytes together.
func batchOf(size int64) *repb.BatchUpdateBlobsRequest {
	return &repb.BatchUpdateBlobsRequest{Requests: []*repb.BatchUpdateBlobsRequest_Request{
		{Digest: &repb.Digest{Hash: sha256Of("x"), SizeBytes: size - 200_000}},
		{Digest: &repb.Digest{Hash: sha256Of("y"), SizeBytes: 200_000}},
	}}
}

// TestCapabilities: the server says what it can do.
func TestCapabilities(t *testing.T) {
	t.Parallel()
	k := openRPC(t, nil)
	a, err := k.caps.GetCapabilities(t.Context(), &repb.GetCapabilitiesRequest{InstanceName: "main"})
	if err != nil {
		t.Fatal(err)
	}
	c := a.CacheCapabilities
	if a.LowApiVersion.Major != 2 || a.HighApiVersion.Major != 2 || a.ExecutionCapabilities != nil ||
		fmt.Sprint(c.DigestFunctions, c.SupportedCompressors, c.SupportedBatchUpdateCompressors) != "[SHA256] [ZSTD] [ZSTD]" ||
		!c.ActionCacheUpdateCapabilities.UpdateEnabled || c.MaxBatchTotalSizeBytes != 3<<20 || c.MaxCasBlobSizeBytes != 100_000 {
		t.Error(a)
	}
}

// TestBatches: blobs of one batch fare each by itself, in zstd too.
func TestBatches(t *testing.T) {
	t.Parallel()
	k := openRPC(t, nil)
	body := strings.Repeat("larder ", 1000)
	packed := zstdOf(t, []byte(body))
	type request = repb.BatchUpdateBlobsRequest_Request
	rows := []struct {
		name string
		q    *request
		want codes.Code
	}{
		{"right", &request{Digest: digestOf("a"), Data: []byte("a")}, codes.OK},
		{"empty", &request{Digest: digestOf("")}, codes.OK},
		{"in zstd", &request{Digest: digestOf(body), Data: packed, Compressor: repb.Compressor_ZSTD}, codes.OK},
		{"another hash", &request{Digest: digestOf("b"), Data: []byte("c")}, codes.InvalidArgument},
		{"another size", &request{Digest: &repb.Digest{Hash: sha256Of("b"), SizeBytes: 2}, Data: []byte("b")}, codes.InvalidArgument},
		{"more in zstd than it says", &request{Digest: &repb.Digest{Hash: sha256Of(body), SizeBytes: 10}, Data: packed, Compressor: repb.Compressor_ZSTD}, codes.InvalidArgument},
		{"no zstd", &request{Digest: digestOf("d"), Data: []byte("d"), Compressor: repb.Compressor_ZSTD}, codes.InvalidArgument},
		{"half a frame", &request{Digest: digestOf(body), Data: packed[:len(packed)-5], Compressor: repb.Compressor_ZSTD}, codes.InvalidArgument},
		{"another compressor", &request{Digest: digestOf("e"), Data: []byte("e"), Compressor: repb.Compressor_DEFLATE}, codes.InvalidArgument},
		{"malformed hash", &request{Digest: &repb.Digest{Hash: "../x", SizeBytes: 1}, Data: []byte("x")}, codes.InvalidArgument},
		{"no digest", &request{Data: []byte("x")}, codes.InvalidArgument},
		{"too large", &request{Digest: digestOf(zeros(100_001)), Data: []byte(zeros(100_001))}, codes.InvalidArgument},
	}
	q := &repb.BatchUpdateBlobsRequest{InstanceName: "main"}
	for _, row := range rows {
		q.Requests = append(q.Requests, row.q)
	}
	a, err := k.cas.BatchUpdateBlobs(t.Context(), q)
	if err != nil || len(a.Responses) != len(rows) {
		t.Fatal(a, err)
	}
	for i, row := range rows {
		if r := a.Responses[i]; codes.Code(r.Status.GetCode()) != row.want || !proto.Equal(r.Digest, row.q.Digest) && row.q.Digest != nil {
			t.Errorf("%s: %v, want %v", row.name, r, row.want)
		}
	}
	if got := files(t, k.root); len(got) != 2 || got["cas/"+sha256Of("a")] != "a" || got["cas/"+sha256Of(body)] != body {
		t.Errorf("%d files: %.200q", len(got), got)
	}
	for _, compressors := range [][]repb.Compressor_Value{nil, {repb.Compressor_ZSTD, repb.Compressor_DEFLATE}} {
		k.checkBatch(body, compressors)
	}
	missing := k.missing(digestOf("a"), digestOf("b"), digestOf(""), &repb.Digest{Hash: sha256Of("a"), SizeBytes: 2}, &repb.Digest{Hash: sha256Of(""), SizeBytes: 1}, &repb.Digest{Hash: sha256Of("a")})
	if len(missing) != 4 || missing[0].Hash != sha256Of("b") || missing[1].SizeBytes != 2 || missing[2].Hash != sha256Of("") || missing[3].SizeBytes != 0 {
		t.Errorf("missing: %v", missing)
	}
}

// checkBatch reads what TestBatches has stored.
func (k *rpc) checkBatch(body string, compressors []repb.Compressor_Value) {
	k.t.Helper()
	a, err := k.cas.BatchReadBlobs(k.t.Context(), &repb.BatchReadBlobsRequest{
		Digests:               []*repb.Digest{digestOf("a"), digestOf(body), digestOf(""), digestOf("b"), {Hash: sha256Of("a"), SizeBytes: 2}, {Hash: "x"}},
		AcceptableCompressors: compressors,
	})
	if err != nil || len(a.Responses) != 6 {
		k.t.Fatal(a, err)
	}
	if r := a.Responses[1]; r.Compressor == repb.Compressor_ZSTD {
		r.Data = []byte(unzstd(k.t, string(r.Data)))
	} else if compressors != nil {
		k.t.Error("no zstd")
	}
	for i, want := range []string{"a", body, "", "NotFound", "NotFound", "InvalidArgument"} {
		r := a.Responses[i]
		if got := string(r.Data); i < 3 && (got != want || r.Status.GetCode() != 0) || i >= 3 && codes.Code(r.Status.GetCode()).String() != want {
			k.t.Errorf("response %d: %v, want %.20q", i, r, want)
		}
	}
}

// TestSharedStore: what comes over HTTP is there over gRPC, and the other way round.
func TestSharedStore(t *testing.T) {
	t.Parallel()
	k := openRPC(t, nil)
	put := func(path, body string) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, k.server.URL+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil || res.StatusCode != http.StatusCreated {
			t.Fatal(res, err)
		}
		res.Body.Close()
	}
	result := &repb.ActionResult{ExitCode: 7}
	encoded, err := proto.Marshal(result)
	if err != nil {
		t.Fatal(err)
	}
	put("/team/a/ac/"+sha256Of("action"), string(encoded))
	put("/cas/"+sha256Of("body"), "body")
	got, err := k.ac.GetActionResult(t.Context(), &repb.GetActionResultRequest{InstanceName: "team/a", ActionDigest: digestOf("action")})
	if err != nil || !proto.Equal(got, result) {
		t.Error(got, err)
	}
	_, err = k.ac.GetActionResult(t.Context(), &repb.GetActionResultRequest{InstanceName: "team", ActionDigest: digestOf("action")})
	wantCode(t, err, codes.NotFound)
	if body, err := k.read(t.Context(), blobName(plainBlobs, "body"), 0, 0); body != "body" || err != nil {
		t.Error(body, err)
	}
	put("/ac/"+sha256Of("page"), "\xff<html>")
	_, err = k.ac.GetActionResult(t.Context(), &repb.GetActionResultRequest{ActionDigest: digestOf("page")})
	wantCode(t, err, codes.NotFound)

	if _, err := k.ac.UpdateActionResult(t.Context(), &repb.UpdateActionResultRequest{InstanceName: "i", ActionDigest: digestOf("other"), ActionResult: result}); err != nil {
		t.Fatal(err)
	}
	res, err := http.Get(k.server.URL + "/i/ac/" + sha256Of("other"))
	if err != nil || res.StatusCode != http.StatusOK || res.ContentLength != int64(len(encoded)) {
		t.Error(res, err)
	}
	res.Body.Close()
}

package reapi_test

import (
	"bytes"
	"reflect"
	"testing"
	"time"

	repb "github.com/bazelbuild/remote-apis/build/bazel/remote/execution/v2"
	"github.com/bazelbuild/remote-apis/build/bazel/semver"
	bspb "google.golang.org/genproto/googleapis/bytestream"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	statuspb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/larderbuild/larder/grpc"
	"github.com/larderbuild/larder/protobuf"
	"github.com/larderbuild/larder/reapi"
)

// message is one of larder's.
type message interface {
	protobuf.Marshaler
	protobuf.Unmarshaler
}

// pair is a message as larder has it, with all its fields, and the same as the API's generated code
// has it.
type pair struct {
	ours      message
	generated proto.Message
}

var (
	digest, digestPB = reapi.Digest{Hash: "0a", SizeBytes: 1 << 40}, &repb.Digest{Hash: "0a", SizeBytes: 1 << 40}
	other, otherPB   = reapi.Digest{Hash: "0b", SizeBytes: -1}, &repb.Digest{Hash: "0b", SizeBytes: -1}
	status           = grpc.Status{Code: grpc.NotFound, Message: "größer", RetryDelay: 1500 * time.Millisecond}
	bothNodes        = []reapi.Digest{digest, other}
	bothNodesPB      = []*repb.Digest{digestPB, otherPB}
)

func statusPB() *statuspb.Status {
	detail, err := anypb.New(&errdetails.RetryInfo{RetryDelay: durationpb.New(1500 * time.Millisecond)})
	if err != nil {
		panic(err)
	}
	return &statuspb.Status{Code: 5, Message: "größer", Details: []*anypb.Any{detail}}
}

// pairs are all messages that go both ways.
func pairs() []pair {
	result := actionResult()
	return []pair{
		{&reapi.GetCapabilitiesRequest{InstanceName: "main"}, &repb.GetCapabilitiesRequest{InstanceName: "main"}},
		{&reapi.ServerCapabilities{
			Cache: &reapi.CacheCapabilities{
				DigestFunctions: []int64{1, 300}, UpdateEnabled: true, MaxBatchTotalSizeBytes: 1 << 33, AbsoluteSymlinks: true,
				Compressors: []reapi.Compressor{reapi.Zstd, 2}, BatchUpdateCompressors: []reapi.Compressor{reapi.Zstd}, MaxBlobSizeBytes: 7,
			},
			LowAPI: reapi.Version{Major: 2, Minor: 1}, HighAPI: reapi.Version{Major: 3, Minor: 4},
		}, &repb.ServerCapabilities{
			CacheCapabilities: &repb.CacheCapabilities{
				DigestFunctions:               []repb.DigestFunction_Value{1, 300},
				ActionCacheUpdateCapabilities: &repb.ActionCacheUpdateCapabilities{UpdateEnabled: true},
				MaxBatchTotalSizeBytes:        1 << 33, SymlinkAbsolutePathStrategy: repb.SymlinkAbsolutePathStrategy_ALLOWED,
				SupportedCompressors:            []repb.Compressor_Value{1, 2},
				SupportedBatchUpdateCompressors: []repb.Compressor_Value{1}, MaxCasBlobSizeBytes: 7,
			},
			LowApiVersion: &semver.SemVer{Major: 2, Minor: 1}, HighApiVersion: &semver.SemVer{Major: 3, Minor: 4},
		}},
		{&reapi.FindMissingBlobsRequest{InstanceName: "i", BlobDigests: bothNodes, DigestFunction: 1}, &repb.FindMissingBlobsRequest{InstanceName: "i", BlobDigests: bothNodesPB, DigestFunction: 1}},
		{&reapi.FindMissingBlobsResponse{MissingBlobDigests: bothNodes}, &repb.FindMissingBlobsResponse{MissingBlobDigests: bothNodesPB}},
		{
			&reapi.BatchUpdateBlobsRequest{InstanceName: "i", Requests: []reapi.BlobUpdate{{Digest: digest, Data: []byte{1, 0}, Compressor: 1}}, DigestFunction: 1},
			&repb.BatchUpdateBlobsRequest{InstanceName: "i", Requests: []*repb.BatchUpdateBlobsRequest_Request{{Digest: digestPB, Data: []byte{1, 0}, Compressor: 1}}, DigestFunction: 1},
		},
		{
			&reapi.BatchUpdateBlobsResponse{Responses: []reapi.BlobUpdated{{Digest: digest, Status: status}}},
			&repb.BatchUpdateBlobsResponse{Responses: []*repb.BatchUpdateBlobsResponse_Response{{Digest: digestPB, Status: statusPB()}}},
		},
		{
			&reapi.BatchReadBlobsRequest{InstanceName: "i", Digests: bothNodes, AcceptableCompressors: []reapi.Compressor{1, 3}, DigestFunction: 1},
			&repb.BatchReadBlobsRequest{InstanceName: "i", Digests: bothNodesPB, AcceptableCompressors: []repb.Compressor_Value{1, 3}, DigestFunction: 1},
		},
		{
			&reapi.BatchReadBlobsResponse{Responses: []reapi.BlobRead{{Digest: digest, Data: []byte("x"), Compressor: 1, Status: status}}},
			&repb.BatchReadBlobsResponse{Responses: []*repb.BatchReadBlobsResponse_Response{{Digest: digestPB, Data: []byte("x"), Compressor: 1, Status: statusPB()}}},
		},
		{
			&reapi.GetTreeRequest{InstanceName: "i", RootDigest: digest, PageSize: 3, PageToken: "t", DigestFunction: 1},
			&repb.GetTreeRequest{InstanceName: "i", RootDigest: digestPB, PageSize: 3, PageToken: "t", DigestFunction: 1},
		},
		{
			&reapi.GetTreeResponse{Directories: [][]byte{encode(directoryPB())}, NextPageToken: "t"},
			&repb.GetTreeResponse{Directories: []*repb.Directory{directoryPB()}, NextPageToken: "t"},
		},
		{
			&reapi.GetActionResultRequest{InstanceName: "i", ActionDigest: digest, InlineOutputFiles: []string{"a", "b"}, DigestFunction: 1},
			&repb.GetActionResultRequest{InstanceName: "i", ActionDigest: digestPB, InlineOutputFiles: []string{"a", "b"}, DigestFunction: 1},
		},
		{
			&reapi.UpdateActionResultRequest{InstanceName: "i", ActionDigest: digest, ActionResult: result.ours.(*reapi.ActionResult), DigestFunction: 1},
			&repb.UpdateActionResultRequest{InstanceName: "i", ActionDigest: digestPB, ActionResult: result.generated.(*repb.ActionResult), DigestFunction: 1},
		},
		{&reapi.ReadRequest{ResourceName: "r", ReadOffset: -2, ReadLimit: 3}, &bspb.ReadRequest{ResourceName: "r", ReadOffset: -2, ReadLimit: 3}},
		{&reapi.ReadResponse{Data: []byte("x")}, &bspb.ReadResponse{Data: []byte("x")}},
		{&reapi.WriteRequest{ResourceName: "r", WriteOffset: 2, FinishWrite: true, Data: []byte("x")}, &bspb.WriteRequest{ResourceName: "r", WriteOffset: 2, FinishWrite: true, Data: []byte("x")}},
		{&reapi.WriteResponse{CommittedSize: -1}, &bspb.WriteResponse{CommittedSize: -1}},
		{&reapi.QueryWriteStatusRequest{ResourceName: "r"}, &bspb.QueryWriteStatusRequest{ResourceName: "r"}},
		{&reapi.QueryWriteStatusResponse{CommittedSize: 3, Complete: true}, &bspb.QueryWriteStatusResponse{CommittedSize: 3, Complete: true}},
		{&status, statusPB()},
		result,
	}
}

func directoryPB() *repb.Directory {
	return &repb.Directory{
		Files:       []*repb.FileNode{{Name: "f", Digest: digestPB, IsExecutable: true}},
		Directories: []*repb.DirectoryNode{{Name: "d", Digest: otherPB}},
		Symlinks:    []*repb.SymlinkNode{{Name: "s", Target: "t"}},
	}
}

// actionResult is one that has fields that larder does not know.
func actionResult() pair {
	generated := &repb.ActionResult{
		OutputFiles: []*repb.OutputFile{
			{Path: "a", Digest: digestPB, IsExecutable: true, Contents: []byte("x")},
			{Path: "b", Digest: otherPB, NodeProperties: &repb.NodeProperties{Properties: []*repb.NodeProperty{{Name: "p", Value: "v"}}}},
		},
		OutputDirectories: []*repb.OutputDirectory{{Path: "d", TreeDigest: digestPB, RootDirectoryDigest: otherPB, IsTopologicallySorted: true}},
		OutputSymlinks:    []*repb.OutputSymlink{{Path: "s", Target: "t"}},
		ExitCode:          3, StdoutRaw: []byte("out"), StdoutDigest: digestPB, StderrDigest: otherPB,
		ExecutionMetadata: &repb.ExecutedActionMetadata{Worker: "w"},
	}
	return pair{&reapi.ActionResult{
		OutputFiles:       []reapi.OutputFile{{Path: "a", Digest: digest, Contents: []byte("x")}, {Path: "b", Digest: other}},
		OutputDirectories: []reapi.OutputDirectory{{Path: "d", TreeDigest: &digest, RootDirectoryDigest: &other}},
		StdoutDigest:      &digest, StderrDigest: &other, Encoded: encode(generated),
	}, generated}
}

func encode(m proto.Message) []byte {
	data, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		panic(err)
	}
	return data
}

// blank returns a new message of the type of m.
func blank(m message) message { return reflect.New(reflect.TypeOf(m).Elem()).Interface().(message) }

// TestMessages compares each message with the code that is generated from the API, in both directions.
func TestMessages(t *testing.T) {
	t.Parallel()
	for _, p := range pairs() {
		name := reflect.TypeOf(p.ours).Elem().Name()
		if v := reflect.ValueOf(p.ours).Elem(); v.Kind() == reflect.Struct {
			for i := range v.NumField() {
				if v.Field(i).IsZero() {
					t.Errorf("%s: %s is not filled", name, v.Type().Field(i).Name)
				}
			}
		}
		got := p.generated.ProtoReflect().New().Interface()
		if err := proto.Unmarshal(p.ours.Marshal(), got); err != nil || !proto.Equal(got, p.generated) {
			t.Errorf("%s, marshalled: %v, %v, want %v", name, err, got, p.generated)
		}
		unknown := protowire.AppendVarint(protowire.AppendTag(nil, 9001, protowire.VarintType), 1)
		unknown = protowire.AppendFixed32(protowire.AppendTag(unknown, 9002, protowire.Fixed32Type), 1)
		unknown = protowire.AppendFixed64(protowire.AppendTag(unknown, 9003, protowire.Fixed64Type), 1)
		unknown = protowire.AppendBytes(protowire.AppendTag(unknown, 9004, protowire.BytesType), []byte("x"))
		unknown = protowire.AppendGroup(protowire.AppendTag(unknown, 9005, protowire.StartGroupType), 9005, protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), 1))
		for _, more := range [][]byte{nil, unknown} {
			data := append(encode(p.generated), more...)
			m, want := blank(p.ours), p.ours
			if err := m.Unmarshal(data); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if r, ok := m.(*reapi.ActionResult); ok {
				if !bytes.Equal(r.Encoded, data) {
					t.Errorf("%s does not stay as it came", name)
				}
				same := *want.(*reapi.ActionResult)
				same.Encoded = data
				want = &same
			}
			if !reflect.DeepEqual(m, want) {
				t.Errorf("%s, unmarshalled: %+v, want %+v", name, m, want)
			}
		}
	}
}

// TestActionResult: without Encoded, the fields are written.
func TestActionResult(t *testing.T) {
	t.Parallel()
	p := actionResult()
	ours := *p.ours.(*reapi.ActionResult)
	ours.Encoded = nil
	var got repb.ActionResult
	if err := proto.Unmarshal(ours.Marshal(), &got); err != nil {
		t.Fatal(err)
	}
	want := &repb.ActionResult{
		OutputFiles:       []*repb.OutputFile{{Path: "a", Digest: digestPB, Contents: []byte("x")}, {Path: "b", Digest: otherPB}},
		OutputDirectories: []*repb.OutputDirectory{{Path: "d", TreeDigest: digestPB, RootDirectoryDigest: otherPB}},
		StdoutDigest:      digestPB, StderrDigest: otherPB,
	}
	if !proto.Equal(&got, want) {
		t.Errorf("%v, want %v", &got, want)
	}
}

// TestInline: contents come to their files, and all else stays.
func TestInline(t *testing.T) {
	t.Parallel()
	p := actionResult()
	r := p.ours.(*reapi.ActionResult)
	if err := r.Inline([][]byte{nil, []byte("contents")}); err != nil {
		t.Fatal(err)
	}
	want := p.generated.(*repb.ActionResult)
	want.OutputFiles[1].Contents = []byte("contents")
	var got repb.ActionResult
	if err := proto.Unmarshal(r.Encoded, &got); err != nil || !proto.Equal(&got, want) {
		t.Errorf("%v: %v, want %v", err, &got, want)
	}
	if string(r.OutputFiles[1].Contents) != "contents" {
		t.Errorf("%+v", r.OutputFiles)
	}
}

// TestTree reads folders, which are only received.
func TestTree(t *testing.T) {
	t.Parallel()
	var got reapi.Tree
	if err := got.Unmarshal(encode(&repb.Tree{Root: directoryPB(), Children: []*repb.Directory{directoryPB(), {}}})); err != nil {
		t.Fatal(err)
	}
	d := reapi.Directory{Files: []reapi.Node{{Name: "f", Digest: digest}}, Directories: []reapi.Node{{Name: "d", Digest: other}}}
	if want := (reapi.Tree{Root: d, Children: []reapi.Directory{d, {}}}); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
}

// TestLists: a list of numbers may come as one field, or as a field for each.
func TestLists(t *testing.T) {
	t.Parallel()
	unpacked := protowire.AppendVarint(protowire.AppendTag(nil, 3, protowire.VarintType), 1)
	unpacked = protowire.AppendVarint(protowire.AppendTag(unpacked, 3, protowire.VarintType), 2)
	packed := protowire.AppendBytes(protowire.AppendTag(nil, 3, protowire.BytesType), []byte{1, 2})
	both := append(bytes.Clone(unpacked), packed...)
	for want, data := range map[int][]byte{2: unpacked, 4: both} {
		var r reapi.BatchReadBlobsRequest
		if err := r.Unmarshal(data); err != nil || len(r.AcceptableCompressors) != want {
			t.Errorf("%x: %v, %v", data, r.AcceptableCompressors, err)
		}
	}
}

// TestTruncated: what is cut off is an error, or a message with less in it.
func TestTruncated(t *testing.T) {
	t.Parallel()
	for _, p := range pairs() {
		data := encode(p.generated)
		for n := range data {
			m, generated := blank(p.ours), p.generated.ProtoReflect().New().Interface()
			if got, want := m.Unmarshal(data[:n]), proto.Unmarshal(data[:n], generated); (got == nil) != (want == nil) {
				t.Errorf("%T, %d of %d bytes: %v, and the generated code says %v", m, n, len(data), got, want)
			}
		}
	}
}

// FuzzUnmarshal: what the generated code takes, larder takes, and what larder has read it writes so
// that it reads the same.
func FuzzUnmarshal(f *testing.F) {
	all := pairs()
	for i, p := range all {
		f.Add(uint8(i), encode(p.generated))
	}
	f.Fuzz(func(t *testing.T, i uint8, data []byte) {
		p := all[int(i)%len(all)]
		m := blank(p.ours)
		err := m.Unmarshal(data)
		if err != nil {
			if proto.Unmarshal(data, p.generated.ProtoReflect().New().Interface()) == nil {
				t.Errorf("%T: %v", m, err)
			}
			return
		}
		again := blank(m)
		if err := again.Unmarshal(m.Marshal()); err != nil {
			t.Errorf("%T: %v", m, err)
		}
		if !bytes.Equal(m.Marshal(), again.Marshal()) {
			t.Errorf("%T: %+v, and then %+v", m, m, again)
		}
		if r, ok := m.(*reapi.ActionResult); ok {
			if err := r.Inline(make([][]byte, len(r.OutputFiles))); err != nil || !bytes.Equal(r.Encoded, data) {
				t.Errorf("%v: %x", err, r.Encoded)
			}
		}
	})
}

package serve_test

import (
	"bytes"
	"cmp"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"

	"github.com/larderbuild/larder/grpc"
	"github.com/larderbuild/larder/protobuf"
	"github.com/larderbuild/larder/reapi"
	"github.com/larderbuild/larder/serve"
)

var methods = []string{
	reapi.GetCapabilities, reapi.GetActionResult, reapi.UpdateActionResult, reapi.FindMissingBlobs, reapi.BatchUpdateBlobs,
	reapi.BatchReadBlobs, reapi.GetTree, reapi.Read, reapi.Write, reapi.QueryWriteStatus,
}

// call has the server answer a call, and checks what holds for every one. It returns how it has ended.
func (b *besieged) call(t *testing.T, path string, body []byte) grpc.Code {
	r := httptest.NewRequest(http.MethodPost, path, bytes.NewReader(body))
	r.ProtoMajor, r.ProtoMinor = 2, 0
	r.Header.Set("Content-Type", "application/grpc")
	w := httptest.NewRecorder()
	if b.aborts(w, r) {
		t.Fatalf("%s, %x: aborted", path, body)
	}
	res := w.Result()
	code, err := strconv.Atoi(cmp.Or(res.Trailer.Get("Grpc-Status"), res.Header.Get("Grpc-Status"))) // the latter without messages
	if err != nil || w.Code != http.StatusOK {
		t.Errorf("%s, %x: status %d, %v", path, body, w.Code, err)
	}
	switch code := grpc.Code(code); code {
	case grpc.Unknown, grpc.Unavailable, grpc.DataLoss, grpc.Aborted: // the store is sound, and nobody else calls
		t.Errorf("%s, %x: %v", path, body, code)
	}
	return grpc.Code(code)
}

// checkAfterCalls checks what lies in the store, and beside it once partial uploads are gone.
func (b *besieged) checkAfterCalls(t *testing.T, what string) {
	t.Helper()
	b.handler.(*serve.Server).Close()
	b.check(t, what)
}

// FuzzCalls has one call answered, by a server that holds something of each kind.
func FuzzCalls(f *testing.F) {
	g := &callGrammar{grammar: &grammar{Rand: rand.New(rand.NewPCG(1, 2))}}
	for range 30 {
		method, body := g.call()
		f.Add(uint8(method), body)
	}
	f.Fuzz(func(t *testing.T, method uint8, body []byte) {
		b := besiege(t)
		path := methods[int(method)%len(methods)]
		b.call(t, path, body)
		b.checkAfterCalls(t, fmt.Sprintf("%s %x", path, body))
	})
}

// callGrammar makes calls, many of which get far.
type callGrammar struct{ *grammar }

func (g *callGrammar) instance() string { return g.of("", "", "", "i", "i/j", "..", "blobs", "a//b") }

func (g *callGrammar) digest(body string) reapi.Digest {
	d := reapi.Digest{Hash: sha256Of(body), SizeBytes: int64(len(body))}
	switch g.IntN(16) {
	case 0:
		d.SizeBytes = int64(g.IntN(5)) - 1
	case 1:
		d.Hash = g.of("", "../x", d.Hash[1:], sha256Of(g.body()))
	}
	return d
}

func (g *callGrammar) function() int64 { return []int64{0, 0, 0, 1, 1, 1, 1, 9}[g.IntN(8)] }

func (g *callGrammar) compressor() reapi.Compressor { return reapi.Compressor(g.IntN(3)) }

// resource returns a name, of an upload or of a blob to read.
func (g *callGrammar) resource(body string, isUpload, zstd bool) string {
	r := reapi.Resource{Instance: g.instance(), Zstd: zstd, Digest: g.digest(body)}
	if isUpload != (g.IntN(10) == 0) {
		r.Upload = g.of("u", "u", "v")
	}
	return r.String()
}

// call returns the index of a method, and the body of a call.
func (g *callGrammar) call() (method int, frames []byte) {
	method = g.IntN(len(methods))
	for _, m := range g.messages(methods[method]) {
		frames = append(frames, grpc.Frame(m)...)
	}
	switch g.IntN(12) {
	case 0:
		frames = frames[:g.IntN(len(frames)+1)]
	case 1:
		frames[g.IntN(len(frames))] ^= 1 << g.IntN(8)
	}
	return method, frames
}

func (g *callGrammar) messages(method string) []protobuf.Marshaler {
	body, packs := g.body(), g.IntN(3) == 0
	d, i, f := g.digest(body), g.instance(), g.function()
	switch method {
	case reapi.GetCapabilities:
		return []protobuf.Marshaler{&reapi.GetCapabilitiesRequest{InstanceName: i}}
	case reapi.GetActionResult:
		return []protobuf.Marshaler{&reapi.GetActionResultRequest{InstanceName: i, ActionDigest: d, InlineOutputFiles: []string{"a"}, DigestFunction: f}}
	case reapi.UpdateActionResult:
		other := g.digest(g.body())
		r := &reapi.ActionResult{OutputFiles: []reapi.OutputFile{{Path: "a", Digest: d}}, StdoutDigest: &other}
		if g.IntN(4) == 0 {
			r.OutputDirectories = []reapi.OutputDirectory{{TreeDigest: &other}, {RootDirectoryDigest: &other}}
		}
		return []protobuf.Marshaler{&reapi.UpdateActionResultRequest{InstanceName: i, ActionDigest: d, ActionResult: r, DigestFunction: f}}
	case reapi.FindMissingBlobs:
		return []protobuf.Marshaler{&reapi.FindMissingBlobsRequest{InstanceName: i, BlobDigests: []reapi.Digest{d, g.digest(g.body())}, DigestFunction: f}}
	case reapi.BatchUpdateBlobs:
		return []protobuf.Marshaler{&reapi.BatchUpdateBlobsRequest{InstanceName: i, Requests: []reapi.BlobUpdate{
			{Digest: d, Data: []byte(body)}, {Digest: d, Data: []byte(g.pack(body)), Compressor: g.compressor()},
		}, DigestFunction: f}}
	case reapi.BatchReadBlobs:
		return []protobuf.Marshaler{&reapi.BatchReadBlobsRequest{InstanceName: i, Digests: []reapi.Digest{d, d}, AcceptableCompressors: []reapi.Compressor{g.compressor()}, DigestFunction: f}}
	case reapi.GetTree:
		return []protobuf.Marshaler{&reapi.GetTreeRequest{InstanceName: i, RootDigest: d, PageSize: int64(g.IntN(3)), PageToken: g.of("", "1", "x"), DigestFunction: f}}
	case reapi.Read:
		q := &reapi.ReadRequest{ResourceName: g.resource(body, false, packs), ReadOffset: int64(max(0, g.IntN(12)-6))}
		if !packs {
			q.ReadLimit = int64(max(0, g.IntN(12)-6))
		}
		return []protobuf.Marshaler{q}
	case reapi.Write:
		return g.upload(body, packs)
	}
	return []protobuf.Marshaler{&reapi.QueryWriteStatusRequest{ResourceName: g.resource(body, true, packs)}}
}

// upload returns requests of an upload, or of a part of one.
func (g *callGrammar) upload(body string, packs bool) (all []protobuf.Marshaler) {
	name, sent := g.resource(body, true, packs), body
	if packs {
		sent = g.pack(body)
	}
	begin := 0
	if g.IntN(4) == 0 {
		begin = g.IntN(len(sent) + 1)
	}
	middle := begin + g.IntN(len(sent)-begin+1)
	all = append(all, &reapi.WriteRequest{ResourceName: name, WriteOffset: int64(begin), Data: []byte(sent[begin:middle])})
	if g.IntN(4) > 0 {
		all = append(all, &reapi.WriteRequest{WriteOffset: int64(middle), Data: []byte(sent[middle:]), FinishWrite: g.IntN(4) > 0})
	}
	return all
}

// TestSiegeByCalls sends many calls to one server. Its seed is fixed.
func TestSiegeByCalls(t *testing.T) {
	t.Parallel()
	g := &callGrammar{grammar: &grammar{Rand: rand.New(rand.NewPCG(7, 43))}}
	b := besiege(t)
	const calls = 10_000
	codes := map[grpc.Code]int{}
	for range calls {
		method, body := g.call()
		codes[b.call(t, methods[method], body)]++
		if t.Failed() {
			t.FailNow()
		}
	}
	b.checkAfterCalls(t, "in the end")
	t.Logf("codes: %v", codes)
	for _, code := range []grpc.Code{grpc.OK, grpc.InvalidArgument, grpc.NotFound, grpc.OutOfRange, grpc.Internal, grpc.Unimplemented, grpc.ResourceExhausted} {
		if codes[code] < calls/1000 {
			t.Errorf("only %d calls have ended with %v: they do not get far", codes[code], code)
		}
	}
}

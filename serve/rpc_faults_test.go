package serve_test

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	repb "github.com/bazelbuild/remote-apis/build/bazel/remote/execution/v2"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/backend/backendtest"
	"github.com/larderbuild/larder/serve"
)

var insecureOption = grpc.WithTransportCredentials(insecure.NewCredentials())

func grpcCode(err error) codes.Code { return status.Code(err) }

// TestRPCFaults: what errors of the store mean.
func TestRPCFaults(t *testing.T) {
	t.Parallel()
	var now atomic.Pointer[error]
	k := openRPC(t, func(c *serve.Config) {
		c.Store = backendtest.Faulty(c.Store, func(string, string) (f backendtest.Fault) {
			if err := now.Load(); err != nil {
				f.Err = *err
			}
			return f
		})
	})
	k.update("body")
	for _, test := range []struct {
		err  error
		want codes.Code
	}{
		{errors.New("secret of the store"), codes.Unavailable},
		{backend.ErrDenied, codes.Unavailable},
		{syscall.EIO, codes.Unavailable},
		{&os.PathError{Op: "write", Path: "/secret", Err: syscall.ENOSPC}, codes.ResourceExhausted},
		{syscall.EDQUOT, codes.ResourceExhausted},
		{&backend.Busy{After: 7 * time.Second}, codes.Unavailable},
		{backend.ErrReadOnly, codes.PermissionDenied},
	} {
		now.Store(&test.err)
		_, find := k.cas.FindMissingBlobs(t.Context(), &repb.FindMissingBlobsRequest{BlobDigests: []*repb.Digest{digestOf("body")}})
		_, read := k.read(t.Context(), blobName(plainBlobs, "body"), 0, 0)
		_, write := k.write(t.Context(), part("uploads/id/"+blobName(plainBlobs, "x"), 0, "x", true))
		_, get := k.getAction()
		_, put := k.ac.UpdateActionResult(t.Context(), &repb.UpdateActionResultRequest{ActionDigest: digestOf("action"), ActionResult: &repb.ActionResult{ExitCode: 1}})
		batch, err := k.cas.BatchReadBlobs(t.Context(), &repb.BatchReadBlobsRequest{Digests: []*repb.Digest{digestOf("body")}})
		if err != nil {
			t.Fatal(err)
		}
		one := status.FromProto(batch.Responses[0].Status).Err()
		for name, err := range map[string]error{"find": find, "read": read, "write": write, "get": get, "put": put, "batch": one} {
			if status.Code(err) != test.want || strings.Contains(err.Error(), "secret") {
				t.Errorf("%v: %s: %v, want %v", test.err, name, err, test.want)
			}
			if busy := new(backend.Busy); errors.As(test.err, &busy) {
				if d := status.Convert(err).Details(); len(d) != 1 || d[0].(*errdetails.RetryInfo).RetryDelay.AsDuration() != busy.After {
					t.Errorf("%s: details %v", name, d)
				}
			}
		}
	}
}

// TestRPCDamage: whatever becomes of the file of a blob, nobody gets it as a whole. Then it is missing,
// and an upload puts it right.
func TestRPCDamage(t *testing.T) {
	t.Parallel()
	k := openRPC(t, nil)
	for _, body := range []string{"x", string(noise(100_000))} {
		damages := map[string]func([]byte) []byte{
			"first byte":     func(b []byte) []byte { b[0] ^= 1; return b },
			"last byte":      func(b []byte) []byte { b[len(b)-1] ^= 0x80; return b },
			"last byte gone": func(b []byte) []byte { return b[:len(b)-1] },
			"one byte more":  func(b []byte) []byte { return append(b, 'x') },
			"empty":          func([]byte) []byte { return nil },
		}
		for name, damage := range damages {
			for _, kind := range []string{plainBlobs, packedBlobs, "batch"} {
				k.update(body)
				(&kitchen{t: t, root: k.root}).damage("cas/"+sha256Of(body), damage)
				var err error
				if kind == "batch" {
					a, e := k.cas.BatchReadBlobs(t.Context(), &repb.BatchReadBlobsRequest{Digests: []*repb.Digest{digestOf(body)}})
					if e != nil {
						t.Fatal(e)
					}
					err = status.FromProto(a.Responses[0].Status).Err()
				} else {
					_, err = k.read(t.Context(), blobName(kind, body), 0, 0)
				}
				if code := status.Code(err); code != codes.DataLoss && code != codes.NotFound {
					t.Errorf("%s of %d bytes, %s: %v", name, len(body), kind, err)
				}
				if len(k.missing(digestOf(body))) == 0 {
					t.Errorf("%s of %d bytes, %s: it is not missing", name, len(body), kind)
				}
				if _, err := k.write(t.Context(), part("uploads/id/"+blobName(plainBlobs, body), 0, body, true)); err != nil {
					t.Errorf("%s of %d bytes: %v", name, len(body), err)
				}
				if got, err := k.read(t.Context(), blobName(plainBlobs, body), 0, 0); got != body {
					t.Errorf("%s of %d bytes, after an upload: %d bytes, %v", name, len(body), len(got), err)
				}
			}
		}
	}
}

// TestRPCProgress: an upload that makes no progress ends, and what has come of it stays.
func TestRPCProgress(t *testing.T) {
	t.Parallel()
	k := openRPC(t, func(c *serve.Config) { c.Progress = shortly })
	name := "uploads/id/" + blobName(plainBlobs, "body")
	s, err := k.bytes.Write(t.Context())
	if err == nil {
		err = s.Send(part(name, 0, "bo", false))
	}
	if err != nil {
		t.Fatal(err)
	}
	wantCode(t, s.RecvMsg(new(repb.Digest)), codes.DeadlineExceeded)
	if size, _, err := k.committed(name); size != 2 || err != nil {
		t.Errorf("%d, %v", size, err)
	}
}

// TestManyClients: clients that write and read the same and other blobs at the same time.
func TestManyClients(t *testing.T) {
	t.Parallel()
	k := openRPC(t, func(c *serve.Config) { c.MaxObject = 4 << 20 })
	shared := string(noise(1_500_000))
	var all sync.WaitGroup
	for id := range 20 {
		c := *k
		c.connect(k.address())
		all.Go(func() {
			own := fmt.Sprint("blob of ", id, zeros(id*1000))
			for i, body := range []string{shared, own, shared} {
				name := fmt.Sprintf("uploads/%d-%d/%s", id, i, blobName(plainBlobs, body))
				if _, err := c.write(t.Context(), chunks(name, 0, body, true)...); err != nil {
					t.Error(err)
				}
				if got, err := c.read(t.Context(), blobName(packedBlobs, body), 0, 0); err != nil || unzstd(t, got) != body {
					t.Errorf("%d bytes, %v", len(got), err)
				}
			}
			action := digestOf(own)
			result := &repb.ActionResult{OutputFiles: []*repb.OutputFile{{Path: "a", Digest: digestOf(own)}, {Path: "b", Digest: digestOf(shared)}}}
			if _, err := c.ac.UpdateActionResult(t.Context(), &repb.UpdateActionResultRequest{ActionDigest: action, ActionResult: result}); err != nil {
				t.Error(err)
			}
			got, err := c.ac.GetActionResult(t.Context(), &repb.GetActionResultRequest{ActionDigest: action, InlineOutputFiles: []string{"a"}})
			if err != nil || string(got.OutputFiles[0].Contents) != own {
				t.Error(err)
			}
		})
	}
	all.Wait()
}

// TestWindows: frames of a few bytes in a batch take no memory for the windows that they claim.
func TestWindows(t *testing.T) { // alone, since it counts what all tests allocate
	k := openRPC(t, nil)
	frame := "\x28\xb5\x2f\xfd\x00\x68" + "\x21\x00\x00body" // a window of 8 MiB, and one block, as it is
	q := &repb.BatchUpdateBlobsRequest{}
	for range 100 {
		q.Requests = append(q.Requests, &repb.BatchUpdateBlobsRequest_Request{Digest: digestOf("body"), Data: []byte(frame), Compressor: repb.Compressor_ZSTD})
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	a, err := k.cas.BatchUpdateBlobs(t.Context(), q)
	runtime.ReadMemStats(&after)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range a.Responses {
		if r.Status.GetCode() != 0 {
			t.Fatal(r)
		}
	}
	if got := after.TotalAlloc - before.TotalAlloc; got > 100<<20 {
		t.Errorf("%d MiB were allocated", got>>20)
	}
}

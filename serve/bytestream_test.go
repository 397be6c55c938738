package serve_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	bspb "google.golang.org/genproto/googleapis/bytestream"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/backend/backendtest"
	"github.com/larderbuild/larder/serve"
)

// TestRead reads parts of blobs, in both forms.
func TestRead(t *testing.T) {
	t.Parallel()
	k := openRPC(t, func(c *serve.Config) { c.MaxObject = 1 << 20 })
	large := string(noise(700_000))
	k.update("0123456789", large)
	for _, row := range []struct {
		body          string
		offset, limit int64
		want          string
	}{
		{"0123456789", 0, 0, "0123456789"},
		{"0123456789", 0, 4, "0123"},
		{"0123456789", 3, 4, "3456"},
		{"0123456789", 3, 0, "3456789"},
		{"0123456789", 8, 100, "89"},
		{"0123456789", 10, 0, ""},
		{"0123456789", 0, 10, "0123456789"},
		{"", 0, 0, ""},
		{large, 0, 0, large},
		{large, 1, 0, large[1:]},
		{large, 300_000, 200_000, large[300_000:500_000]},
	} {
		got, err := k.read(t.Context(), blobName(plainBlobs, row.body), row.offset, row.limit)
		if err != nil || got != row.want {
			t.Errorf("%d bytes from %d, limit %d: %d bytes, %v", len(row.body), row.offset, row.limit, len(got), err)
		}
		if row.limit > 0 {
			continue
		}
		packed, err := k.read(t.Context(), blobName(packedBlobs, row.body), row.offset, 0)
		if err != nil || unzstd(t, packed) != row.want {
			t.Errorf("%d bytes from %d in zstd: %d bytes, %v", len(row.body), row.offset, len(packed), err)
		}
	}
}

// upload is one way to write a body: its requests, and how the call ends.
type upload struct {
	name     string
	requests []*bspb.WriteRequest
	code     codes.Code
	size     int64 // committed
}

// uploads returns ways to write body in one call. Each has a name of its own.
func uploads(t *testing.T, body string) []upload {
	packed := string(zstdOf(t, []byte(body)))
	n, half := len(body), len(body)/2
	name := func(id int, kind string) string { return fmt.Sprintf("i/uploads/%d/%s", id, blobName(kind, body)) }
	p, z := func(id int) string { return name(id, plainBlobs) }, func(id int) string { return name(id, packedBlobs) }
	return []upload{
		{"not finished", []*bspb.WriteRequest{part(p(1), 0, body[:half], false)}, codes.OK, int64(half)},
		{"not finished, all of it", []*bspb.WriteRequest{part(p(2), 0, body, false)}, codes.OK, int64(n)},
		{"not finished, nothing of it", []*bspb.WriteRequest{part(p(3), 0, "", false)}, codes.OK, 0},
		{"not finished, zstd", []*bspb.WriteRequest{part(z(4), 0, packed, false)}, codes.OK, int64(n)},
		{"it begins too late", []*bspb.WriteRequest{part(p(5), 1, body[1:], true)}, codes.InvalidArgument, 0},
		{"a negative offset", []*bspb.WriteRequest{part(p(6), -1, body, true)}, codes.InvalidArgument, 0},
		{"a gap", []*bspb.WriteRequest{part(p(7), 0, body[:half], false), part("", half+1, body[half+1:], true)}, codes.InvalidArgument, 0},
		{"an offset twice", []*bspb.WriteRequest{part(p(8), 0, body[:half], false), part("", 0, body, true)}, codes.InvalidArgument, 0},
		{"another name later", []*bspb.WriteRequest{part(p(9), 0, body[:half], false), part(p(10), half, body[half:], true)}, codes.InvalidArgument, 0},
		{"more behind the end", []*bspb.WriteRequest{part(p(11), 0, body, true), part("", n, "", false)}, codes.InvalidArgument, 0},
		{"finished too early", []*bspb.WriteRequest{part(p(12), 0, body[:half], true)}, codes.InvalidArgument, 0},
		{"too much", []*bspb.WriteRequest{part(p(13), 0, body+"x", true)}, codes.InvalidArgument, 0},
		{"other bytes", []*bspb.WriteRequest{part(p(14), 0, strings.Repeat("x", n), true)}, codes.InvalidArgument, 0},
		{"other bytes, zstd", []*bspb.WriteRequest{part(z(15), 0, string(zstdOf(t, []byte(strings.Repeat("x", n)))), true)}, codes.InvalidArgument, 0},
		{"no zstd", []*bspb.WriteRequest{part(z(16), 0, body, true)}, codes.InvalidArgument, 0},
		{"half a frame", []*bspb.WriteRequest{part(z(17), 0, packed[:len(packed)-4], true)}, codes.InvalidArgument, 0},
		{"too much in zstd", []*bspb.WriteRequest{part(z(18), 0, string(zstdOf(t, []byte(body+"x"))), true)}, codes.InvalidArgument, 0},
	}
}

// TestWrite writes blobs as the API allows, and as it does not.
func TestWrite(t *testing.T) {
	t.Parallel()
	k := openRPC(t, nil)
	body := strings.Repeat("larder ", 300)
	for _, u := range uploads(t, body) {
		size, err := k.write(t.Context(), u.requests...)
		if wantCode(t, err, u.code); size != u.size || t.Failed() {
			t.Fatalf("%s: %d bytes, want %d", u.name, size, u.size)
		}
		if got := files(t, k.root); len(got) > 0 {
			t.Fatalf("%s: stored is %q", u.name, got)
		}
	}
	half := len(body) / 2
	for i, kind := range []string{plainBlobs, packedBlobs} {
		body := fmt.Sprint(i) + body
		name := "uploads/id/" + blobName(kind, body)
		sent := body
		if kind == packedBlobs {
			sent = string(zstdOf(t, []byte(body)))
		}
		half := min(half, len(sent)/2)
		size, err := k.write(t.Context(), part(name+"/meta", 0, sent[:half], false), part("", half, "", false), part(name+"/meta", half, sent[half:], false), part("", len(sent), "", true))
		if err != nil || size != int64(len(sent)) {
			t.Errorf("%s: %d bytes, %v", kind, size, err)
		}
		if got := files(t, k.root)["cas/"+sha256Of(body)]; got != body {
			t.Errorf("%s: stored are %d bytes", kind, len(got))
		}
		if size, complete, err := k.committed(name); size != int64(len(body)) || !complete || err != nil {
			t.Errorf("%s: status %d, %v, %v", kind, size, complete, err)
		}
		want := map[string]int64{plainBlobs: int64(len(body)), packedBlobs: -1}[kind]
		again, err := k.write(t.Context(), part("uploads/other/"+blobName(kind, body), 0, "anything", false))
		if err != nil || again != want {
			t.Errorf("%s, again: %d, %v, want %d", kind, again, err, want)
		}
	}
	if size, err := k.write(t.Context(), part("uploads/id/"+blobName(plainBlobs, ""), 0, "", true)); size != 0 || err != nil {
		t.Errorf("the empty blob: %d, %v", size, err)
	}
}

// TestResume: what has come of an upload stays, and the client goes on behind it, in zstd too.
func TestResume(t *testing.T) {
	t.Parallel()
	k := openRPC(t, func(c *serve.Config) { c.MaxObject = 10 << 20 })
	for _, size := range []int{10_000, 3 << 20} {
		body := string(noise(size))
		for _, kind := range []string{plainBlobs, packedBlobs} {
			body := kind + body
			name := "main/uploads/id/" + blobName(kind, body)
			encode := func(s string) string {
				if kind == packedBlobs {
					return string(zstdOf(t, []byte(s)))
				}
				return s
			}
			for at, end := range map[int]int{0: size / 3} {
				if n, err := k.write(t.Context(), chunks(name, at, encode(body[at:end]), false)...); err != nil || n != int64(end) {
					t.Fatalf("%s, the first part: %d bytes, %v", kind, n, err)
				}
			}
			got, complete, err := k.committed(name)
			if err != nil || complete || got != int64(size/3) {
				t.Fatalf("%s: committed are %d bytes, %v, %v", kind, got, complete, err)
			}
			_, err = k.write(t.Context(), part(name, size/3+1, "x", true))
			wantCode(t, err, codes.InvalidArgument) // which takes nothing away
			rest := encode(body[got:])
			if n, err := k.write(t.Context(), chunks(name, int(got), rest, true)...); err != nil || n != got+int64(len(rest)) {
				t.Fatalf("%s, the rest: %d bytes, %v", kind, n, err)
			}
			if back, err := k.read(t.Context(), blobName(plainBlobs, body), 0, 0); err != nil || back != body {
				t.Errorf("%s: %d bytes, %v", kind, len(back), err)
			}
		}
	}
	name := "uploads/id/" + blobName(plainBlobs, "begun anew")
	if _, err := k.write(t.Context(), part(name, 0, "begun", false)); err != nil {
		t.Fatal(err)
	}
	if n, err := k.write(t.Context(), part(name, 0, "begun anew", true)); err != nil || n != 10 {
		t.Errorf("from the beginning: %d, %v", n, err)
	}
}

// chunks returns requests of an upload that fit in messages.
func chunks(name string, at int, data string, finish bool) (all []*bspb.WriteRequest) {
	for len(data) > 1<<20 {
		all = append(all, part(name, at, data[:1<<20], false))
		at, data = at+1<<20, data[1<<20:]
	}
	return append(all, part(name, at, data, finish))
}

// TestCutOff: an upload whose connection is cut off goes on over another one.
func TestCutOff(t *testing.T) {
	t.Parallel()
	k := openRPC(t, func(c *serve.Config) { c.MaxObject = 10 << 20 })
	body := string(noise(3 << 20))
	name := "uploads/id/" + blobName(plainBlobs, body)
	conns := make(chan net.Conn, 1)
	k.connect(k.address(), grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithContextDialer(func(ctx context.Context, address string) (net.Conn, error) {
		c, err := new(net.Dialer).DialContext(ctx, "tcp", address)
		conns <- c
		return c, err
	}))
	s, err := k.bytes.Write(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Send(part(name, 0, body[:2<<20], false)); err != nil {
		t.Fatal(err)
	}
	first := *k
	k.connect(k.address())
	await(t, func() bool { size, _, _ := k.committed(name); return size == 2<<20 })
	_, err = k.write(t.Context(), part(name, 2<<20, body[2<<20:], true))
	wantCode(t, err, codes.Aborted) // one writer at a time
	(<-conns).Close()
	if _, err := s.CloseAndRecv(); err == nil {
		t.Error("the upload ends well, although its connection was cut")
	}
	_ = first.conn.Close()
	await(t, func() bool {
		_, err := k.write(t.Context(), part(name, 2<<20, body[2<<20:], true))
		return err == nil
	})
	if back, err := k.read(t.Context(), blobName(packedBlobs, body), 0, 0); err != nil || unzstd(t, back) != body {
		t.Errorf("%d bytes, %v", len(back), err)
	}
}

// await waits until done reports true.
func await(t *testing.T, done func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it does not come to that")
		}
	}
}

// TestUnknownUpload: nothing has come of an upload that the server does not know, so that Bazel
// begins again.
func TestUnknownUpload(t *testing.T) {
	t.Parallel()
	k := openRPC(t, nil)
	if size, complete, err := k.committed("uploads/id/" + blobName(plainBlobs, "body")); size != 0 || complete || err != nil {
		t.Errorf("%d, %v, %v", size, complete, err)
	}
}

// TestManyPartialUploads: the server keeps few of them.
func TestManyPartialUploads(t *testing.T) {
	t.Parallel()
	k := openRPC(t, func(c *serve.Config) { c.MaxObject = 1000 })
	begin := func(id, size int) string {
		name := fmt.Sprintf("uploads/%d/%s", id, blobName(plainBlobs, strings.Repeat("x", size+1)))
		if _, err := k.write(t.Context(), part(name, 0, strings.Repeat("x", size), false)); err != nil {
			t.Fatal(err)
		}
		return name
	}
	kept := func(name string) bool { size, _, _ := k.committed(name); return size > 0 }
	var names []string
	for id := range 101 {
		names = append(names, begin(id, 1))
	}
	if kept(names[0]) || !kept(names[1]) || !kept(names[100]) {
		t.Errorf("after 101 uploads: the first is kept: %v, the second: %v, the last: %v", kept(names[0]), kept(names[1]), kept(names[100]))
	}
	for id := range 3 {
		names = append(names, begin(id, 900))
	}
	if kept(names[100]) || kept(names[101]) || !kept(names[102]) || !kept(names[103]) {
		t.Error("more bytes are kept than twice the largest body")
	}
	if n := len(files(t, k.tempDir)); n != 2 {
		t.Errorf("%d temporary files, want 2", n)
	}
}

// TestStoreFailsAtTheEnd: an upload that the store does not take stays, and need not come again.
func TestStoreFailsAtTheEnd(t *testing.T) {
	t.Parallel()
	var once sync.Once
	k := openRPC(t, func(c *serve.Config) {
		c.Store = backendtest.Faulty(c.Store, func(op, _ string) (f backendtest.Fault) {
			if op == "put" {
				once.Do(func() { f.Err = errors.Join(errors.New("secret"), &backend.Busy{After: time.Second}) })
			}
			return f
		})
	})
	name := "uploads/id/" + blobName(plainBlobs, "body")
	_, err := k.write(t.Context(), part(name, 0, "body", true))
	wantCode(t, err, codes.Unavailable)
	if size, complete, err := k.committed(name); size != 4 || complete || err != nil {
		t.Errorf("%d, %v, %v", size, complete, err)
	}
	if _, err := k.write(t.Context(), part(name, 4, "", true)); err != nil {
		t.Error(err)
	}
	if got := files(t, k.root)["cas/"+sha256Of("body")]; got != "body" {
		t.Errorf("stored is %q", got)
	}
}

package serve_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"runtime"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/larderbuild/larder/serve"
)

// zstdOf returns body in zstd.
func zstdOf(t testing.TB, body []byte) []byte {
	t.Helper()
	var all bytes.Buffer
	w, err := zstd.NewWriter(&all)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = w.Write(body) // Close says
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return all.Bytes()
}

// TestBazel stores and reads action results and blobs.
func TestBazel(t *testing.T) {
	t.Parallel()
	k := open(t, nil)
	const sum, none = "{sha256:0123456789}", "{sha256:nobody}"
	const tag = `"sha256:` + sum + `"`
	packed := string(zstdOf(t, []byte("0123456789")))
	plain := h{"ETag: " + tag, "Content-Length: 10", "Content-Encoding:", "Vary: Accept-Encoding"}
	k.run([]row{
		{"no blob", "GET /cas/" + sum, nil, "", 404, nil, "not found", ""},
		{"no blob, zstd", "GET /cas/" + sum, h{"Accept-Encoding: zstd"}, "", 404, h{"Content-Encoding:"}, "not found", ""},
		{"a blob of another name", "PUT /cas/" + none, nil, "0123456789", 400, nil, "SHA-256", ""},
		{"a blob", "PUT /cas/" + sum, nil, "0123456789", 201, nil, "", "+cas/" + sum},
		{"the blob again", "PUT /cas/" + sum, nil, "0123456789", 201, nil, "", ""},
		{"with its MD5", "PUT /cas/" + sum, h{"Content-MD5: {md5:0123456789}"}, "0123456789", 201, nil, "", ""},
		{"with another MD5", "PUT /cas/" + sum, h{"Content-MD5: {md5:x}"}, "0123456789", 400, h{"Larder-Error: digest"}, "digest", ""},
		{"back", "GET /cas/" + sum, nil, "", 200, plain, "0123456789", ""},
		{"head", "HEAD /cas/" + sum, nil, "", 200, plain, "", ""},
		{"of an instance", "GET /main/cas/" + sum, nil, "", 200, plain, "0123456789", ""},
		{"of an instance with parts", "GET /team/a%20b/c/cas/" + sum, nil, "", 200, plain, "0123456789", ""},
		{"by an instance", "PUT /other/cas/{sha256:y}", nil, "y", 201, nil, "", "+cas/{sha256:y}"},
		{"range", "GET /cas/" + sum, h{"Range: bytes=2-4"}, "", 206, h{"Content-Range: bytes 2-4/10"}, "234", ""},
		{"range at the end", "GET /cas/" + sum, h{"Range: bytes=-2"}, "", 206, nil, "89", ""},
		{"range behind the end", "GET /cas/" + sum, h{"Range: bytes=10-11"}, "", 416, h{"Content-Range: bytes */10"}, "range", ""},
		{"range and zstd", "GET /cas/" + sum, h{"Range: bytes=2-4", "Accept-Encoding: zstd"}, "", 206, h{"Content-Encoding:"}, "234", ""},
		{"the same", "GET /cas/" + sum, h{"If-None-Match: " + tag}, "", 304, nil, "", ""},
		{"the same, and zstd", "GET /cas/" + sum, h{"If-None-Match: " + tag, "Accept-Encoding: zstd"}, "", 304, nil, "", ""},
		{"another, and zstd", "GET /cas/" + sum, h{"If-Match: " + none, "Accept-Encoding: zstd"}, "", 412, nil, "", ""},
		{"zstd", "GET /cas/" + sum, h{"--compressed"}, "", 200, h{"Content-Encoding: zstd", "Vary: Accept-Encoding", `ETag: "sha256:` + sum + `-zstd"`}, "0123456789", ""},
		{"zstd among others", "GET /cas/" + sum, h{"--compressed", "Accept-Encoding: gzip, ZSTD;q=0.5"}, "", 200, h{"Content-Encoding: zstd"}, "0123456789", ""},
		{"no zstd", "GET /cas/" + sum, h{"Accept-Encoding: gzip, zstd;q=0"}, "", 200, plain, "0123456789", ""},
		{"no zstd, in other words", "GET /cas/" + sum, h{"Accept-Encoding: zstd ; Q=0.000"}, "", 200, plain, "0123456789", ""},
		{"zstd, head", "HEAD /cas/" + sum, h{"Accept-Encoding: zstd"}, "", 200, plain, "", ""},
		{"upload in zstd", "PUT /cas/{sha256:{9*50000}}", h{"Content-Encoding: zstd"}, string(zstdOf(t, []byte(zeros(50_000)))), 400, nil, "SHA-256", ""},
		{"upload in zstd, right", "PUT /cas/" + sha256Of(zeros(50_000)), h{"Content-Encoding: zstd"}, string(zstdOf(t, []byte(zeros(50_000)))), 201, nil, "", "+cas/" + sha256Of(zeros(50_000))},
		{"that back", "GET /cas/" + sha256Of(zeros(50_000)), nil, "", 200, h{"Content-Length: 50000"}, "{0*50000}", ""},
		{"an MD5 of what is sent", "PUT /cas/{sha256:0123456789}", h{"Content-Encoding: zstd", "Content-MD5: " + md5Of(packed)}, packed, 201, nil, "", ""},
		{"an MD5 of what that holds", "PUT /cas/{sha256:0123456789}", h{"Content-Encoding: zstd", "Content-MD5: " + md5Of("0123456789")}, packed, 400, h{"Larder-Error: digest"}, "digest", ""},
		{"that back, in zstd", "GET /cas/" + sha256Of(zeros(50_000)), h{"--compressed"}, "", 200, h{"Content-Encoding: zstd"}, "{0*50000}", ""},
		{"two frames", "PUT /cas/{sha256:abcd}", h{"Content-Encoding: zstd"}, string(zstdOf(t, []byte("ab"))) + string(zstdOf(t, []byte("cd"))), 201, nil, "", "+cas/{sha256:abcd}"},
		{"no zstd at all", "PUT /cas/{sha256:plain}", h{"Content-Encoding: zstd"}, "plain", 400, nil, "malformed", ""},
		{"half a frame", "PUT /cas/" + sum, h{"Content-Encoding: zstd"}, packed[:len(packed)-3], 400, nil, "malformed", ""},
		{"a damaged frame", "PUT /cas/" + sum, h{"Content-Encoding: zstd"}, packed[:len(packed)-1] + "~", 400, nil, "malformed", ""},
		{"more behind the frame", "PUT /cas/" + sum, h{"Content-Encoding: zstd"}, packed + "more", 400, nil, "malformed", ""},
		{"unknown encoding", "PUT /cas/" + sum, h{"Content-Encoding: br"}, "0123456789", 415, nil, "zstd", ""},
		{"too large once it is decoded", "PUT /cas/" + sha256Of(zeros(100_001)), h{"Content-Encoding: zstd"}, string(zstdOf(t, []byte(zeros(100_001)))), 413, nil, "100000", ""},
		{"too large", "PUT /cas/" + sha256Of(zeros(100_001)), nil, "{0*100001}", 413, nil, "100000", ""},
		{"the empty blob, which nobody has stored", "GET /cas/{sha256:}", nil, "", 200, h{`ETag: "sha256:{sha256:}"`, "Content-Length: 0"}, "", ""},
		{"the empty blob, head", "HEAD /x/cas/{sha256:}", nil, "", 200, h{"Content-Length: 0"}, "", ""},
		{"the empty blob, zstd", "GET /cas/{sha256:}", h{"Accept-Encoding: zstd"}, "", 200, h{"Content-Encoding:"}, "", ""},
		{"the empty blob, stored", "PUT /cas/{sha256:}", nil, "{}", 201, nil, "", "+cas/{sha256:}"},
		{"upper case", "GET /cas/ABCDEF0123456789ABCDEF0123456789ABCDEF0123456789ABCDEF0123456789", nil, "", 400, nil, "64 digits in lower case", ""},
		{"too few digits", "GET /cas/abc", nil, "", 400, nil, "64 digits", ""},
		{"too many digits", "PUT /cas/" + sum + "00", nil, "0123456789", 400, nil, "64 digits", ""},
		{"no digits", "GET /ac/{z*64}", nil, "", 400, nil, "64 digits", ""},
		{"none", "GET /ac/", nil, "", 400, nil, "64 digits", ""},
		{"more behind it", "GET /cas/" + sum + "/x", nil, "", 404, nil, "no such path", ""},
		{"POST", "POST /cas/" + sum, nil, "0123456789", 405, h{"Allow: GET, HEAD, PUT"}, "method", ""},
		{"DELETE", "DELETE /ac/" + sum, nil, "", 405, h{"Allow: GET, HEAD, PUT"}, "method", ""},
		{"no result", "GET /ac/" + sum, nil, "", 404, nil, "not found", ""},
		{"a result", "PUT /ac/" + sum, nil, "result", 201, nil, "", "+ac/" + sum},
		{"the result", "GET /ac/" + sum, nil, "", 200, h{"Content-Length: 6", "ETag: >result"}, "result", ""},
		{"the result, head", "HEAD /ac/" + sum, nil, "", 200, h{"Content-Length: 6", "ETag: {result}"}, "", ""},
		{"the result, range", "GET /ac/" + sum, h{"Range: bytes=1-3"}, "", 206, nil, "esu", ""},
		{"the result, no change", "GET /ac/" + sum, h{"If-None-Match: {result}"}, "", 304, nil, "", ""},
		{"the result, zstd", "GET /ac/" + sum, h{"Accept-Encoding: zstd"}, "", 200, h{"Content-Encoding:"}, "result", ""},
		{"a result in zstd", "PUT /ac/" + sum, h{"Content-Encoding: zstd"}, string(zstdOf(t, []byte("another"))), 201, nil, "", "~ac/" + sum},
		{"another instance has none", "GET /main/ac/" + sum, nil, "", 404, nil, "not found", ""},
		{"of another instance", "PUT /main/ac/" + sum, nil, "main", 201, nil, "", "+ac/%40main/" + sum},
		{"of an instance with parts", "PUT /main/a/ac/" + sum, nil, "main/a", 201, nil, "", "+ac/%40main%252Fa/" + sum},
		{"of an instance called as a part", "PUT /ac/ac/" + sum, nil, "ac", 201, nil, "", "+ac/%40ac/" + sum},
		{"each has its own", "GET /main/ac/" + sum, nil, "", 200, nil, "main", ""},
		{"parts are none of a path", "GET /main%2Fa/ac/" + sum, nil, "", 400, nil, "slash", ""},
		{"a long instance", "PUT /{i*200}/ac/" + sum, nil, "long", 201, nil, "", "+ac/%40{i*200}/" + sum},
		{"too long an instance", "PUT /{i*238}/ac/" + sum, nil, "long", 400, nil, "too long", ""},
		{"an instance of too many parts", "PUT {/a*59}/ac/" + sum, nil, "long", 400, nil, "too long", ""},
		{"an empty instance", "PUT //ac/" + sum, nil, "x", 400, nil, "empty", ""},
		{"up", "PUT /../ac/" + sum, nil, "x", 400, nil, "..", ""},
	})
}

// A small body that is large once it is decoded is refused, and takes neither the memory nor the disk.
func TestBomb(t *testing.T) {
	if testing.Short() {
		t.Skip("compresses a gigabyte")
	}
	var bomb bytes.Buffer
	w, err := zstd.NewWriter(&bomb, zstd.WithEncoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	chunk := make([]byte, 1<<20)
	for range 1 << 10 {
		_, _ = w.Write(chunk) // Close says
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	const limit = 4 << 20
	k := open(t, func(c *serve.Config) { c.MaxObject = limit })
	if bomb.Len() >= limit {
		t.Fatalf("the bomb has %d bytes", bomb.Len())
	}
	file := t.TempDir() + "/bomb"
	if err := os.WriteFile(file, bomb.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	a := k.send("PUT /cas/{sha256:}", h{"Content-Encoding: zstd"}, "@"+file)
	runtime.ReadMemStats(&after)
	if a.status != http.StatusRequestEntityTooLarge {
		t.Errorf("status %d: %s", a.status, a.body)
	}
	if got := after.TotalAlloc - before.TotalAlloc; got > 64<<20 {
		t.Errorf("%d MiB were allocated", got>>20)
	}
	if got := files(t, k.root); len(got) > 0 {
		t.Errorf("stored: %d files", len(got))
	}
}

// Blobs that are too large for memory come and go as they are.
func TestLargeBlobs(t *testing.T) {
	t.Parallel()
	k := open(t, func(c *serve.Config) { c.MaxObject = 8 << 20 })
	for _, n := range []int{1<<20 - 1, 1 << 20, 1<<20 + 1, 3 << 20} {
		body := noise(n)
		file := fmt.Sprintf("%s/%d", t.TempDir(), n)
		if err := os.WriteFile(file, zstdOf(t, body), 0o600); err != nil {
			t.Fatal(err)
		}
		path := "/cas/" + sha256Of(string(body))
		if a := k.send("PUT "+path, h{"Content-Encoding: zstd"}, "@"+file); a.status != http.StatusCreated {
			t.Fatalf("%d bytes: status %d: %s", n, a.status, a.body)
		}
		k.put("/cache/large", string(body))
		for _, path := range []string{path, "/cache/large"} {
			for _, with := range []h{nil, {"--compressed"}} {
				if a := k.send("GET "+path, with, ""); a.body != string(body) || a.exit != 0 {
					t.Errorf("%s has %d bytes and comes back with %d, curl %d", path, n, len(a.body), a.exit)
				}
			}
		}
		a := k.send("GET "+path, h{"Accept-Encoding: zstd"}, "") // curl gives it out as it comes
		r, err := zstd.NewReader(bytes.NewReader([]byte(a.body)))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, body) {
			t.Errorf("in zstd %d bytes come back as %d, %v", n, len(got), err)
		}
		r.Close()
	}
}

package serve_test

import (
	"net/http"
	"testing"

	"github.com/larderbuild/larder/serve"
)

// h are headers, and options of curl.
type h = []string

// TestCacheReads asks for entries of the HTTP build cache.
func TestCacheReads(t *testing.T) {
	t.Parallel()
	k := open(t, nil)
	const tag, other = `"sha256:{sha256:0123456789}"`, `"sha256:{sha256:other}"`
	whole := h{"ETag: " + tag, "Content-Length: 10", "Accept-Ranges: bytes", "Content-Type: application/octet-stream", "X-Content-Type-Options: nosniff", "X-Content-Signature:"}
	k.run([]row{
		{"first", "PUT /cache/a", h{"Content-MD5: {md5:0123456789}"}, "0123456789", 201, h{"ETag: " + tag, "Content-Length: 0"}, "", "+cache/a"},
		{"whole", "GET /cache/a", nil, "", 200, whole, "0123456789", ""},
		{"query is ignored", "GET /cache/a?x=y", nil, "", 200, whole, "0123456789", ""},
		{"escaped letter", "GET /cache/%61", nil, "", 200, whole, "0123456789", ""},
		{"head", "HEAD /cache/a", nil, "", 200, whole, "", ""},
		{"no entry", "GET /cache/b", nil, "", 404, h{"ETag:"}, "not found", ""},
		{"no entry, head", "HEAD /cache/b", nil, "", 404, h{"ETag:"}, "", ""},
		{"no entry, range", "GET /cache/b", h{"Range: bytes=2-3"}, "", 404, nil, "not found", ""},
		{"first byte", "GET /cache/a", h{"Range: bytes=0-0"}, "", 206, h{"Content-Range: bytes 0-0/10", "Content-Length: 1", "ETag: " + tag}, "0", ""},
		{"middle", "GET /cache/a", h{"Range: bytes=3-6"}, "", 206, h{"Content-Range: bytes 3-6/10", "Content-Length: 4"}, "3456", ""},
		{"end", "GET /cache/a", h{"Range: bytes=-3"}, "", 206, h{"Content-Range: bytes 7-9/10"}, "789", ""},
		{"more than all from the end", "GET /cache/a", h{"Range: bytes=-30"}, "", 206, h{"Content-Range: bytes 0-9/10"}, "0123456789", ""},
		{"up to the end", "GET /cache/a", h{"Range: bytes=8-"}, "", 206, h{"Content-Range: bytes 8-9/10"}, "89", ""},
		{"over the end", "GET /cache/a", h{"Range: bytes=8-100"}, "", 206, h{"Content-Range: bytes 8-9/10"}, "89", ""},
		{"behind the end", "GET /cache/a", h{"Range: bytes=10-"}, "", 416, h{"Content-Range: bytes */10", "ETag:"}, "range", ""},
		{"backwards", "GET /cache/a", h{"Range: bytes=6-3"}, "", 416, nil, "range", ""},
		{"no numbers", "GET /cache/a", h{"Range: bytes=a-b"}, "", 416, nil, "range", ""},
		{"beyond all numbers", "GET /cache/a", h{"Range: bytes=99999999999999999999-"}, "", 416, nil, "range", ""},
		{"several ranges come as all", "GET /cache/a", h{"Range: bytes=0-1,4-5"}, "", 200, whole, "0123456789", ""},
		{"the same", "GET /cache/a", h{"If-None-Match: " + tag}, "", 304, h{"ETag: " + tag, "Content-Length:"}, "", ""},
		{"the same, head", "HEAD /cache/a", h{"If-None-Match: " + tag}, "", 304, nil, "", ""},
		{"the same, in a list", "GET /cache/a", h{"If-None-Match: " + other + ", " + tag}, "", 304, nil, "", ""},
		{"the same, in two headers", "GET /cache/a", h{"If-None-Match: " + tag, "If-None-Match: " + tag}, "", 304, nil, "", ""},
		{"the same, weak", "GET /cache/a", h{"If-None-Match: W/" + tag}, "", 304, nil, "", ""},
		{"any", "GET /cache/a", h{"If-None-Match: *"}, "", 304, nil, "", ""},
		{"another", "GET /cache/a", h{"If-None-Match: " + other}, "", 200, whole, "0123456789", ""},
		{"If-Match holds", "GET /cache/a", h{"If-Match: " + tag}, "", 200, whole, "0123456789", ""},
		{"If-Match fails", "GET /cache/a", h{"If-Match: " + other}, "", 412, nil, "", ""},
		{"If-Match is weak", "GET /cache/a", h{"If-Match: W/" + tag}, "", 412, nil, "", ""},
		{"If-Range holds", "GET /cache/a", h{"Range: bytes=1-2", "If-Range: " + tag}, "", 206, h{"Content-Range: bytes 1-2/10"}, "12", ""},
		{"If-Range fails", "GET /cache/a", h{"Range: bytes=1-2", "If-Range: " + other}, "", 200, whole, "0123456789", ""},
	})
}

// TestCacheWrites stores entries of the HTTP build cache.
func TestCacheWrites(t *testing.T) {
	t.Parallel()
	k := open(t, nil)
	const one, two, three = `"sha256:{sha256:one}"`, `"sha256:{sha256:two}"`, `"sha256:{sha256:three}"`
	k.run([]row{
		{"no digest", "PUT /cache/a", nil, "one", 400, h{"ETag:", "Content-Type: text/plain; charset=utf-8"}, "Content-MD5 is missing", ""},
		{"empty digest", "PUT /cache/a", h{"Content-MD5;"}, "one", 400, nil, "Content-MD5", ""},
		{"no base64", "PUT /cache/a", h{"Content-MD5: {-*22}=="}, "one", 400, nil, "malformed Content-MD5", ""},
		{"hexadecimal digest", "PUT /cache/a", h{"Content-MD5: f97c5d29941bfb1b2fdab0874906ab82"}, "one", 400, nil, "malformed Content-MD5", ""},
		{"short digest", "PUT /cache/a", h{"Content-MD5: YQ=="}, "one", 400, nil, "malformed Content-MD5", ""},
		{"two digests", "PUT /cache/a", h{"Content-MD5: {md5:one}", "Content-MD5: {md5:one}"}, "one", 400, nil, "malformed Content-MD5", ""},
		{"wrong digest", "PUT /cache/a", h{"Content-MD5: {md5:two}"}, "one", 400, h{"Larder-Error: digest"}, "digest", ""},
		{"nothing was stored", "GET /cache/a", nil, "", 404, nil, "", ""},
		{"new", "PUT /cache/a", h{"Content-MD5: {md5:one}"}, "one", 201, h{"ETag: " + one}, "", "+cache/a"},
		{"is there", "GET /cache/a", nil, "", 200, h{"ETag: " + one}, "one", ""},
		{"replaced", "PUT /cache/a", h{"Content-MD5: {md5:two}"}, "two", 204, h{"ETag: " + two}, "", "~cache/a"},
		{"is different", "GET /cache/a", nil, "", 200, h{"ETag: " + two}, "two", ""},
		{"only new", "PUT /cache/a", h{"Content-MD5: {md5:one}", "If-None-Match: *"}, "one", 412, nil, "condition", ""},
		{"only the one before", "PUT /cache/a", h{"Content-MD5: {md5:three}", "If-Match: " + one}, "three", 412, h{"ETag:"}, "condition", ""},
		{"only this one, weak", "PUT /cache/a", h{"Content-MD5: {md5:three}", "If-Match: W/" + two}, "three", 412, nil, "condition", ""},
		{"only another", "PUT /cache/a", h{"Content-MD5: {md5:three}", "If-None-Match: " + two}, "three", 412, nil, "condition", ""},
		{"only this one", "PUT /cache/a", h{"Content-MD5: {md5:three}", "If-Match: " + one + "," + two}, "three", 204, h{"ETag: " + three}, "", "~cache/a"},
		{"only any", "PUT /cache/a", h{"Content-MD5: {md5:one}", "If-Match: *"}, "one", 204, nil, "", "~cache/a"},
		{"only any, of nothing", "PUT /cache/b", h{"Content-MD5: {md5:one}", "If-Match: *"}, "one", 412, nil, "condition", ""},
		{"only some, of nothing", "PUT /cache/b", h{"Content-MD5: {md5:one}", "If-Match: " + one}, "one", 412, nil, "condition", ""},
		{"only new, and it is", "PUT /cache/b", h{"Content-MD5: {md5:one}", "If-None-Match: *"}, "one", 201, nil, "", "+cache/b"},
		{"an ETag without end", "PUT /cache/b", h{"Content-MD5: {md5:two}", `If-Match: "x`}, "two", 400, nil, "malformed If-Match", ""},
		{"no ETag", "PUT /cache/b", h{"Content-MD5: {md5:two}", `If-None-Match: x`}, "two", 400, nil, "malformed If-None-Match", ""},
		{"no comma", "PUT /cache/b", h{"Content-MD5: {md5:two}", `If-Match: "x" "y"`}, "two", 400, nil, "malformed If-Match", ""},
		{"an empty condition is no request without one", "PUT /cache/b", h{"Content-MD5: {md5:two}", "If-Match;"}, "two", 400, nil, "malformed If-Match", ""},
		{"as large as allowed", "PUT /cache/c", h{"Content-MD5: " + md5Of(zeros(100_000))}, "{0*100000}", 201, nil, "", "+cache/c"},
		{"too large", "PUT /cache/d", h{"Content-MD5: " + md5Of(zeros(100_001))}, "{0*100001}", 413, nil, "100000 bytes", ""},
		{"too large, in pieces", "PUT /cache/d", h{"Content-MD5: " + md5Of(zeros(100_001)), "Transfer-Encoding: chunked"}, "{0*100001}", 413, nil, "100000 bytes", ""},
		{"in pieces", "PUT /cache/d", h{"Content-MD5: {md5:four}", "Transfer-Encoding: chunked"}, "four", 201, nil, "", "+cache/d"},
		{"unknown encoding", "PUT /cache/d", h{"Content-MD5: {md5:five}", "Content-Encoding: gzip"}, "five", 415, nil, "Content-Encoding", ""},
		{"two encodings", "PUT /cache/d", h{"Content-MD5: {md5:five}", "Content-Encoding: identity", "Content-Encoding: gzip"}, "five", 415, nil, "Content-Encoding", ""},
		{"identity", "PUT /cache/d", h{"Content-MD5: {md5:five}", "Content-Encoding: Identity"}, "five", 204, nil, "", "~cache/d"},
		{"empty", "PUT /cache/e", h{"Content-MD5: {md5:}"}, "{}", 201, h{`ETag: "sha256:{sha256:}"`}, "", "+cache/e"},
		{"empty, back", "GET /cache/e", nil, "", 200, h{"Content-Length: 0"}, "", ""},
		{"empty, range", "GET /cache/e", h{"Range: bytes=0-0"}, "", 200, h{"Content-Length: 0"}, "", ""},
		{"POST", "POST /cache/a", nil, "x", 405, h{"Allow: GET, HEAD, PUT"}, "method", ""},
		{"DELETE", "DELETE /cache/a", nil, "", 405, h{"Allow: GET, HEAD, PUT"}, "method", ""},
		{"OPTIONS", "OPTIONS /cache/a", nil, "", 405, h{"Allow: GET, HEAD, PUT"}, "method", ""},
		{"PATCH", "PATCH /cache/a", nil, "x", 405, nil, "method", ""},
		{"a method of one's own", "BREW /cache/a", nil, "", 405, nil, "method", ""},
	})
}

// TestKeys stores under good and bad names.
func TestKeys(t *testing.T) {
	t.Parallel()
	k := open(t, nil)
	put := h{"Content-MD5: {md5:x}"}
	k.run([]row{
		{"no key", "PUT /cache/", put, "x", 404, nil, "/cache/{key}", ""},
		{"no slash", "PUT /cache", put, "x", 404, nil, "/cache/{key}", ""},
		{"two parts", "PUT /cache/a/b", put, "x", 404, nil, "/cache/{key}", ""},
		{"slash at the end", "PUT /cache/a/", put, "x", 404, nil, "/cache/{key}", ""},
		{"escaped slash", "PUT /cache/a%2Fb", put, "x", 400, nil, "slash", ""},
		{"backslash", "PUT /cache/a%5Cb", put, "x", 400, nil, "backslash", ""},
		{"empty part", "PUT /cache//a", put, "x", 400, nil, "empty", ""},
		{"dot", "PUT /cache/.", put, "x", 400, nil, ".", ""},
		{"up", "PUT /cache/..", put, "x", 400, nil, "..", ""},
		{"up, escaped", "PUT /cache/%2e%2E", put, "x", 400, nil, "..", ""},
		{"up and out", "PUT /cache/../../../etc/passwd", put, "x", 400, nil, "..", ""},
		{"up and to another part", "PUT /v1/scope/../../cache/x", put, "x", 400, nil, "..", ""},
		{"NUL", "PUT /cache/a%00", put, "x", 400, nil, "control", ""},
		{"line feed", "PUT /cache/a%0Ab", put, "x", 400, nil, "control", ""},
		{"delete", "PUT /cache/a%7f", put, "x", 400, nil, "control", ""},
		{"no UTF-8", "PUT /cache/%ff%fe", put, "x", 400, nil, "UTF-8", ""},
		{"half a letter", "PUT /cache/%c3", put, "x", 400, nil, "UTF-8", ""},
		{"a surrogate", "PUT /cache/%ed%a0%80", put, "x", 400, nil, "UTF-8", ""},
		{"too long", "PUT /cache/{a*241}", put, "x", 400, nil, "too long", ""},
		{"too long once it is escaped", "PUT /cache/{!*81}", put, "x", 400, nil, "too long", ""},
		{"just short enough", "PUT /cache/{a*240}", put, "x", 201, nil, "", "+cache/{a*240}"},
		{"path too long", "PUT /v1{/!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!*30}", put, "x", 400, nil, "too long", ""},
		{"path too long to read", "GET /v1{/!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!*30}", nil, "", 400, nil, "too long", ""},
		{"long path", "PUT /v1{/!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!*15}", put, "x", 201, nil, "", "+v1{/%21%21%21%21%21%21%21%21%21%21%21%21%21%21%21%21%21%21%21%21%21%21%21%21%21%21%21%21%21%21%21%21%21%21%21%21%21%21%21%21%21%21%21%21%21%21%21%21%21%21%21%21%21%21%21%21%21%21%21%21%21%21%21*15}"},
		{"space and percent", "PUT /cache/a%20b%25", put, "x", 201, nil, "", "+cache/a+b%25"},
		{"Unicode", "PUT /cache/%F0%9F%A7%80%E2%80%AE%C3%A9", put, "x", 201, nil, "", "+cache/%F0%9F%A7%80%E2%80%AE%C3%A9"},
		{"Unicode, composed otherwise", "GET /cache/%F0%9F%A7%80%E2%80%AEe%CC%81", nil, "", 404, nil, "", ""},
		{"Unicode, back", "GET /cache/%f0%9f%a7%80%e2%80%ae%c3%a9", nil, "", 200, nil, "x", ""},
		{"raw bytes", "GET /cache/🧀\u202eé", nil, "", 200, nil, "x", ""},
		{"the name of a lock", "PUT /cache/@lock", put, "x", 201, nil, "", "+cache/%40lock"},
		{"punctuation", "PUT /cache/~!$&'()*+,;=:@", put, "x", 201, nil, "", "+cache/~%21%24%26%27%28%29%2A%2B%2C%3B%3D%3A%40"},
		{"three dots", "PUT /cache/...", put, "x", 201, nil, "", "+cache/..."},
		{"no path, PUT", "PUT /", put, "x", 405, []string{"Allow: GET, HEAD"}, "one of GET, HEAD", ""},
		{"unknown path", "GET /v2/a/b", nil, "", 404, nil, "no such path", ""},
		{"unknown path, PUT", "PUT /v2/a/b", put, "x", 404, nil, "no such path", ""},
		{"an ending that is no digest", "GET /index.html", nil, "", 404, nil, "no such path", ""},
		{"healthz", "GET /healthz", nil, "", 200, h{"Content-Type: text/plain; charset=utf-8"}, "ok\n", ""},
		{"healthz, head", "HEAD /healthz", nil, "", 200, nil, "", ""},
		{"healthz, POST", "POST /healthz", nil, "x", 405, h{"Allow: GET, HEAD"}, "method", ""},
		{"below healthz", "GET /healthz/a", nil, "", 404, nil, "no such path", ""},
		{"readyz", "GET /readyz", nil, "", 200, nil, "ok\n", ""},
		{"readyz, PUT", "PUT /readyz", nil, "x", 405, h{"Allow: GET, HEAD"}, "method", ""},
		{"below readyz", "GET /readyz/a", nil, "", 404, nil, "no such path", ""},
	})
}

// TestSignatures asks a server that has a key.
func TestSignatures(t *testing.T) {
	t.Parallel()
	k := open(t, func(c *serve.Config) { c.HMACKey = []byte(hmacKey) })
	put := "Content-MD5: {md5:signed}"
	k.run([]row{
		{"without", "PUT /cache/a", h{put}, "signed", 201, nil, "", "+cache/a"},
		{"right", "PUT /cache/b", h{put, "X-Content-Signature: {hmac:signed}"}, "signed", 201, nil, "", "+cache/b"},
		{"wrong", "PUT /cache/c", h{put, "X-Content-Signature: {hmac:forged}"}, "signed", 400, nil, "HMAC-SHA256", ""},
		{"malformed", "PUT /cache/c", h{put, "X-Content-Signature: {sha256:signed}z"}, "signed", 400, nil, "HMAC-SHA256", ""},
		{"short", "PUT /cache/c", h{put, "X-Content-Signature: ab"}, "signed", 400, nil, "HMAC-SHA256", ""},
		{"get", "GET /cache/a", nil, "", 200, h{"X-Content-Signature: {hmac:signed}", `ETag: "sha256:{sha256:signed}"`, "Content-Length: 6"}, "signed", ""},
		{"head", "HEAD /cache/a", nil, "", 200, h{"X-Content-Signature: {hmac:signed}", "Content-Length: 6"}, "", ""},
		{"range has that of the whole", "GET /cache/a", h{"Range: bytes=1-2"}, "", 206, h{"X-Content-Signature: {hmac:signed}"}, "ig", ""},
		{"several ranges", "GET /cache/a", h{"Range: bytes=0-0,2-2"}, "", 200, nil, "signed", ""},
		{"the same", "GET /cache/a", h{`If-None-Match: "sha256:{sha256:signed}"`}, "", 304, nil, "", ""},
		{"not found", "GET /cache/c", nil, "", 404, h{"X-Content-Signature:"}, "", ""},
		{"elsewhere none", "GET /cas/{sha256:}", nil, "", 200, h{"X-Content-Signature:"}, "", ""},
	})
}

// zeros returns n digits.
func zeros(n int) string {
	all := make([]byte, n)
	for i := range all {
		all[i] = '0'
	}
	return string(all)
}

// A body that is shorter than its Content-Length is not stored, and the server waits for no more
// of it than Config.Progress.
func TestShortBody(t *testing.T) {
	t.Parallel()
	k := open(t, func(c *serve.Config) { c.Progress = shortly })
	for _, path := range []string{"/cache/a", "/v1/s/a", "/cas/{sha256:short}", "/ac/{sha256:short}"} {
		a := k.send("PUT "+path, h{"Content-MD5: {md5:short}", "Content-Length: 100"}, "short")
		if a.status != http.StatusRequestTimeout || a.exit != 0 {
			t.Errorf("%s: status %d, curl %d: %s", path, a.status, a.exit, a.body)
		}
	}
	if got := files(t, k.root); len(got) > 0 {
		t.Errorf("stored: %v", got)
	}
}

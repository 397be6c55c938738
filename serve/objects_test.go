package serve_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/larderbuild/larder/api"
)

// TestObjects stores, reads and deletes larder's own objects.
func TestObjects(t *testing.T) {
	t.Parallel()
	k := open(t, nil)
	one, two := "Content-MD5: {md5:one}", "Content-MD5: {md5:two}"
	k.run([]row{
		{"nothing", "GET /v1/s/a", nil, "", 404, nil, "not found", ""},
		{"no digest", "PUT /v1/s/a", nil, "one", 400, nil, "Content-MD5 is missing", ""},
		{"wrong digest", "PUT /v1/s/a", h{two}, "one", 400, h{"Larder-Error: digest"}, "digest", ""},
		{"only this one, of nothing", "PUT /v1/s/a", h{one, `If-Match: "3-1"`}, "one", 412, nil, "condition", ""},
		{"only any, of nothing", "PUT /v1/s/a", h{one, "If-Match: *"}, "one", 412, nil, "condition", ""},
		{"only new", "PUT /v1/s/a", h{one, "If-None-Match: *"}, "one", 201, h{"ETag: >first"}, "", "+v1/s/a"},
		{"only new, again", "PUT /v1/s/a", h{two, "If-None-Match: *"}, "two", 412, h{"ETag:"}, "condition", ""},
		{"back", "GET /v1/s/a", nil, "", 200, h{"ETag: {first}", "Content-Length: 3"}, "one", ""},
		{"head", "HEAD /v1/s/a", nil, "", 200, h{"ETag: {first}", "Content-Length: 3"}, "", ""},
		{"only this one", "PUT /v1/s/a", h{two, "If-Match: {first}"}, "two", 201, h{"ETag: >second"}, "", "~v1/s/a"},
		{"only the one before", "PUT /v1/s/a", h{one, "If-Match: {first}"}, "one", 412, nil, "condition", ""},
		{"a foreign version", "PUT /v1/s/a", h{one, `If-Match: "sha256:abc"`}, "one", 412, nil, "condition", ""},
		{"a weak version", "PUT /v1/s/a", h{one, "If-Match: W/{second}"}, "one", 412, nil, "condition", ""},
		{"an empty version", "PUT /v1/s/a", h{one, `If-Match: ""`}, "one", 412, nil, "condition", ""},
		{"a malformed version", "PUT /v1/s/a", h{one, "If-Match: 3"}, "one", 400, nil, "malformed", ""},
		{"another than this one", "PUT /v1/s/a", h{one, "If-None-Match: {second}"}, "one", 412, nil, "condition", ""},
		{"another than the one before", "PUT /v1/s/a", h{one, "If-None-Match: {first}"}, "one", 201, h{"ETag: >third"}, "", "~v1/s/a"},
		{"one of two", "PUT /v1/s/a", h{two, "If-Match: {second}, {third}"}, "two", 201, h{"ETag: >fourth"}, "", "~v1/s/a"},
		{"any", "PUT /v1/s/a", h{one, "If-Match: *"}, "one", 201, nil, "", "~v1/s/a"},
		{"any and none", "PUT /v1/s/a", h{one, "If-Match: *", "If-None-Match: *"}, "one", 412, nil, "condition", ""},
		{"without a condition", "PUT /v1/s/a", h{two}, "two", 201, h{"ETag: >last"}, "", "~v1/s/a"},
		{"range", "GET /v1/s/a", h{"Range: bytes=1-1"}, "", 206, h{"Content-Range: bytes 1-1/3", "ETag: {last}"}, "w", ""},
		{"open range", "GET /v1/s/a", h{"Range: bytes=1-"}, "", 206, nil, "wo", ""},
		{"range at the end", "GET /v1/s/a", h{"Range: bytes=-1"}, "", 206, nil, "o", ""},
		{"range over the end", "GET /v1/s/a", h{"Range: bytes=2-9"}, "", 206, nil, "o", ""},
		{"range behind the end", "GET /v1/s/a", h{"Range: bytes=3-"}, "", 416, h{"Content-Range: bytes */3"}, "range", ""},
		{"range, if it is the same", "GET /v1/s/a", h{"Range: bytes=1-1", "If-Range: {last}"}, "", 206, nil, "w", ""},
		{"range, but it is another", "GET /v1/s/a", h{"Range: bytes=1-1", "If-Range: {first}"}, "", 200, nil, "two", ""},
		{"several ranges", "GET /v1/s/a", h{"Range: bytes=0-0,2-2"}, "", 200, nil, "two", ""},
		{"no change", "GET /v1/s/a", h{"If-None-Match: {last}"}, "", 304, nil, "", ""},
		{"empty", "PUT /v1/s/e", h{"Content-MD5: {md5:}"}, "{}", 201, nil, "", "+v1/s/e"},
		{"empty, back", "GET /v1/s/e", nil, "", 200, h{"Content-Length: 0"}, "", ""},
		{"a key behind a key", "PUT /v1/s/a/b", h{one}, "one", 409, nil, "beginning", ""},
		{"far behind it", "PUT /v1/s/a/b/c/d", h{one}, "one", 409, nil, "beginning", ""},
		{"the beginning of a key", "PUT /v1/s", h{one}, "one", 409, nil, "beginning", ""},
		{"reads behind a key", "GET /v1/s/a/b", nil, "", 404, nil, "not found", ""},
		{"reads the beginning of a key", "GET /v1/s", nil, "", 404, nil, "not found", ""},
		{"deletes behind a key", "DELETE /v1/s/a/b", nil, "", 204, nil, "", ""},
		{"deletes the beginning of a key", "DELETE /v1/s", nil, "", 204, nil, "", ""},
		{"folder", "GET /v1/s/", nil, "", 404, nil, "?list=", ""},
		{"folder, PUT", "PUT /v1/s/", h{one}, "one", 405, h{"Allow: GET, HEAD"}, "method", ""},
		{"folder, DELETE", "DELETE /v1/s/", nil, "", 405, h{"Allow: GET, HEAD"}, "method", ""},
		{"root", "GET /v1", nil, "", 404, nil, "?list=", ""},
		{"POST", "POST /v1/s/a", nil, "x", 405, h{"Allow: GET, HEAD, PUT, DELETE"}, "method", ""},
		{"deletes an older one", "DELETE /v1/s/a", h{"If-Match: {first}"}, "", 412, nil, "condition", ""},
		{"deletes a foreign one", "DELETE /v1/s/a", h{`If-Match: "x"`}, "", 412, nil, "condition", ""},
		{"deletes what must not be there", "DELETE /v1/s/a", h{"If-None-Match: *"}, "", 412, nil, "condition", ""},
		{"malformed", "DELETE /v1/s/a", h{"If-Match: x"}, "", 400, nil, "malformed", ""},
		{"deletes this one", "DELETE /v1/s/a", h{"If-Match: {last}"}, "", 204, nil, "", "-v1/s/a"},
		{"deletes nothing", "DELETE /v1/s/a", nil, "", 204, nil, "", ""},
		{"deletes nothing, if it is any", "DELETE /v1/s/a", h{"If-Match: *"}, "", 412, nil, "condition", ""},
		{"deletes nothing, if it is nothing", "DELETE /v1/s/a", h{"If-None-Match: *"}, "", 204, nil, "", ""},
		{"deletes without a condition", "DELETE /v1/s/e", nil, "", 204, nil, "", "-v1/s/e"},
		{"exotic", "PUT /v1/s%20%C3%A9/%40new-x", h{one}, "one", 201, nil, "", "+v1/s+%C3%A9/%40new-x"},
	})
}

// TestLists lists objects.
func TestLists(t *testing.T) {
	t.Parallel()
	k := open(t, nil)
	for _, path := range []string{"/v1/s/a", "/v1/s/ab", "/v1/s/b/c", "/v1/s2/a", "/v1/x", "/cache/a"} {
		k.put(path, path)
	}
	for _, test := range []struct{ ask, want string }{
		{"/v1/s/?list=", "a ab b/c"},
		{"/v1/s/?list", "a ab b/c"},
		{"/v1/s/?list=a", "a ab"},
		{"/v1/s/?list=b/", "b/c"},
		{"/v1/s/b/?list=", "c"},
		{"/v1/s/?list=b%2Fc", "b/c"},
		{"/v1/s/?list=c", ""},
		{"/v1/?list=s", "s/a s/ab s/b/c s2/a"},
		{"/v1/?list=", "s/a s/ab s/b/c s2/a x"},
		{"/v1?list=", "s/a s/ab s/b/c s2/a x"},
		{"/v1/missing/?list=", ""},
		{"/v1/missing/far/?list=x", ""},
		{"/v1/s/?list=../s2/", ""},
		{"/v1/s/?list=%00", ""},
		{"/v1/s/a/?list=", ""},
	} {
		a := k.send("GET "+test.ask, nil, "")
		if a.status != 200 || a.header.Get(api.Header) == "" || a.header.Get("Content-Type") != "application/x-ndjson" {
			t.Errorf("%s: status %d, header %v: %s", test.ask, a.status, a.header, a.body)
			continue
		}
		var keys []string
		lines := strings.Split(strings.TrimSuffix(a.body, "\n"), "\n")
		for i, line := range lines {
			var l api.Line
			if err := json.Unmarshal([]byte(line), &l); err != nil {
				t.Fatalf("%s: %q: %v", test.ask, line, err)
			}
			if last := i == len(lines)-1; l.End != last || last == (l.Key != "") {
				t.Errorf("%s: line %d of %d: %s", test.ask, i+1, len(lines), line)
			}
			if l.Key == "" {
				continue
			}
			keys = append(keys, l.Key)
			folder, _, _ := strings.Cut(strings.TrimPrefix(test.ask, "/v1"), "?")
			path := "/v1/" + strings.TrimPrefix(folder+l.Key, "/")
			if head := k.send("HEAD "+path, nil, ""); head.header.Get("ETag") != l.Version || l.Size != int64(len(path)) || l.Written.IsZero() || l.Listed.IsZero() {
				t.Errorf("%s: %s, and HEAD of %s has %v", test.ask, line, path, head.header)
			}
		}
		slices.Sort(keys)
		if got := strings.Join(keys, " "); got != test.want {
			t.Errorf("%s: %q, want %q", test.ask, got, test.want)
		}
	}
	k.run([]row{
		{"head", "HEAD /v1/s/?list=", nil, "", 200, h{"Content-Type: application/x-ndjson"}, "", ""},
		{"POST", "POST /v1/s/?list=", nil, "x", 405, h{"Allow: GET, HEAD"}, "method", ""},
		{"of what is no folder", "GET /v1/s/a?list=", nil, "", 200, h{"Content-Type: application/octet-stream"}, "/v1/s/a", ""},
	})
}

package serve_test

import (
	"bufio"
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/larderbuild/larder/api"
	"github.com/larderbuild/larder/serve"
)

// besieged is a server that gets requests of all kinds. Its store is one of three things in a folder.
type besieged struct {
	outside string // the folder
	handler http.Handler
}

// besiege makes a server that is to be besieged.
func besiege(t *testing.T) *besieged {
	t.Helper()
	outside := t.TempDir()
	if err := os.WriteFile(filepath.Join(outside, "canary"), []byte("alive"), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg := config(t, filepath.Join(outside, "store"))
	cfg.TempDir, cfg.MaxObject, cfg.HMACKey = filepath.Join(outside, "temporary"), 2000, []byte(hmacKey)
	if err := os.Mkdir(cfg.TempDir, 0o700); err != nil {
		t.Fatal(err)
	}
	b := &besieged{outside, serve.New(cfg)}
	for _, path := range []string{"/cache/a", "/cas/" + sha256Of("body"), "/ac/" + sha256Of("body"), "/v1/s/a"} {
		b.send(t, rawRequest("PUT", path, "Content-MD5: "+md5Of("body"), "body"))
	}
	return b
}

// rawRequest returns a request as it is sent. Unless header says how long the body is, it has the right
// Content-Length.
func rawRequest(method, path, header, body string) string {
	if header != "" {
		header += "\r\n"
	}
	if lower := strings.ToLower(header); !strings.Contains(lower, "content-length") && !strings.Contains(lower, "transfer-encoding") {
		header += fmt.Sprintf("Content-Length: %d\r\n", len(body))
	}
	return fmt.Sprintf("%s %s HTTP/1.1\r\nHost: x\r\n%s\r\n%s", method, path, header, body)
}

// send has the server answer a request, and checks what holds for every answer. It returns nil if
// net/http refuses the request, or if the answer was aborted.
func (b *besieged) send(t *testing.T, raw string) *httptest.ResponseRecorder {
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(raw)))
	if err != nil {
		return nil
	}
	r.RequestURI, r.RemoteAddr = r.URL.String(), "client"
	w := httptest.NewRecorder()
	if b.aborts(w, r) {
		return nil
	}
	switch {
	case w.Code == http.StatusInternalServerError, w.Code == http.StatusBadGateway: // the store is sound
		t.Errorf("%q: status %d: %s", raw, w.Code, w.Body)
	case w.Header().Get(api.Header) != api.Number:
		t.Errorf("%q: header %v", raw, w.Header())
	case w.Code == http.StatusOK && r.Method == http.MethodGet:
		length, digits := w.Header().Get("Content-Length"), strings.TrimPrefix(w.Header().Get("ETag"), `"sha256:`)
		if length != "" && length != strconv.Itoa(w.Body.Len()) {
			t.Errorf("%q: %d bytes, and Content-Length is %s", raw, w.Body.Len(), length)
		}
		if len(digits) == 65 && digits != sha256Of(w.Body.String())+`"` {
			t.Errorf("%q: not the bytes of %s", raw, w.Header().Get("ETag"))
		}
	}
	return w
}

// aborts answers a request. It reports whether that ended with http.ErrAbortHandler.
func (b *besieged) aborts(w http.ResponseWriter, r *http.Request) (aborted bool) {
	defer func() {
		if p := recover(); p == http.ErrAbortHandler {
			aborted = true
		} else if p != nil {
			panic(p)
		}
	}()
	b.handler.ServeHTTP(w, r)
	return false
}

// check checks what lies in the store and beside it.
func (b *besieged) check(t *testing.T, what string) {
	t.Helper()
	for name, data := range files(t, b.outside) {
		first, rest, _ := strings.Cut(name, "/")
		switch {
		case name == "canary" && data == "alive":
		case first != "store", strings.Contains(name, "/@"):
			t.Errorf("%s: there is a file %q", what, name)
		case strings.HasPrefix(rest, "cas/") && rest != "cas/"+sha256Of(data):
			t.Errorf("%s: a wrong blob %q", what, name)
		case !slices.Contains([]string{"cas", "ac", "cache", "v1"}, strings.SplitN(rest, "/", 2)[0]):
			t.Errorf("%s: a file in a folder of its own %q", what, name)
		}
	}
	if entries, err := os.ReadDir(b.outside); err != nil || len(entries) != 3 {
		t.Errorf("%s: %v, %v", what, entries, err)
	}
}

// FuzzServe sends one request to a server that holds something of each kind.
func FuzzServe(f *testing.F) {
	sum := sha256Of("body")
	for _, seed := range []struct{ method, path, header, body string }{
		{"GET", "/cache/a", "Range: bytes=1-2\r\nIf-None-Match: *", ""},
		{"PUT", "/cache/b", "Content-MD5: " + md5Of("x") + "\r\nIf-Match: \"a\", W/\"b\"", "x"},
		{"PUT", "/cas/" + sum, "Content-Encoding: zstd", string(zstdOf(f, []byte("body")))},
		{"GET", "/i/j/cas/" + sum, "Accept-Encoding: gzip, zstd;q=0.1", ""},
		{"PUT", "/../ac/" + sum, "Transfer-Encoding: chunked", "4\r\nbody\r\n0\r\n\r\n"},
		{"DELETE", "/v1/s/a", "If-None-Match: *", ""},
		{"GET", "/v1/s/?list=%61", "", ""},
		{"PUT", "/v1/s/a/%2e%2E/b", "Content-MD5: " + md5Of("body"), "body"},
		{"GET", "//healthz", "Authorization: Basic eDp5", ""},
	} {
		f.Add(seed.method, seed.path, seed.header, seed.body)
	}
	f.Fuzz(func(t *testing.T, method, path, header, body string) {
		b := besiege(t)
		raw := rawRequest(method, path, header, body)
		b.send(t, raw)
		b.check(t, fmt.Sprintf("%q", raw))
	})
}

// grammar makes requests, many of which get far.
type grammar struct {
	*rand.Rand
	tags   []string // ETags that answers had
	packer *zstd.Encoder
}

// of returns one of several texts.
func (g *grammar) of(texts ...string) string { return texts[g.IntN(len(texts))] }

func (g *grammar) name() string {
	if g.IntN(12) == 0 {
		return g.of("..", ".", "", "%2e%2e", "a%2Fb", "a%00", "%ff", "%", "a%5cb", "@lock", "@new-x", strings.Repeat("a", 241), strings.Repeat("!", 80))
	}
	return g.of("a", "b", "c", "%C3%A9", "a+b", "a%20b", "%40x", "...")
}

func (g *grammar) body() string {
	return g.of("", "a", "body", "body", strings.Repeat("larder", 50), strings.Repeat("0", 2000), strings.Repeat("0", 2001))
}

func (g *grammar) path(body string) string {
	digest := sha256Of(body)
	if g.IntN(8) == 0 {
		digest = g.of(sha256Of(g.body()), strings.ToUpper(digest), digest[1:], digest+"0", "")
	}
	instance := g.of("", "", "/i", "/"+g.name()+"/"+g.name(), "/ac", "/cas")
	switch g.IntN(6) {
	case 0, 1:
		return "/cache/" + g.name()
	case 2:
		return instance + "/cas/" + digest
	case 3:
		return instance + "/ac/" + digest
	case 4:
		return "/v1/" + g.name() + "/" + g.of(g.name(), g.name()+"/"+g.name(), "?list="+g.name(), "?list")
	}
	return g.of("/healthz", "/readyz", "/", "/v1", "/v1/?list=", "*", "/cache", "/cache/a/b", "/v1/s/", "//cache/a", "http://other/cache/a", "/ac/"+g.name())
}

func (g *grammar) tag() string {
	if len(g.tags) > 0 && g.IntN(3) > 0 {
		return g.of(g.tags...)
	}
	return g.of("*", "*", `"x"`, `W/"x"`, `"sha256:`+sha256Of("body")+`"`, `"`, "x", "", `"a", "b"`, `"a" "b"`, `"%zz"`)
}

func (g *grammar) request() string {
	body := g.body()
	path := g.path(body)
	var header []string
	if g.IntN(10) > 0 {
		header = append(header, "Content-MD5: "+md5Of(body))
	}
	for range g.IntN(4) {
		header = append(header, g.of(
			"If-Match: "+g.tag(), "If-None-Match: "+g.tag(), "If-Range: "+g.tag(),
			fmt.Sprintf("Range: bytes=%d-%d", g.IntN(6), g.IntN(400)), "Range: bytes="+g.of("-3", "2-", "0-0,2-3", "9-1", "x", "99999999999999999999-"),
			"Accept-Encoding: "+g.of("zstd", "gzip, zstd;q=0", "*"), "Content-MD5: "+g.of("x", "", md5Of("body")),
			"X-Content-Signature: "+g.of("", "00", "z"), "Authorization: "+g.of("Bearer", "Bearer x", "Basic eDp5", "Basic x")))
	}
	switch g.IntN(8) {
	case 0:
		header, body = append(header, "Content-Encoding: zstd"), g.pack(body)
	case 1:
		header = append(header, g.of("Content-Encoding: zstd", "Content-Encoding: gzip", "Content-Length: 3", "Content-Length: 90000"))
	case 2:
		header, body = append(header, "Transfer-Encoding: chunked"), fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(body), body)
	}
	method := g.of("GET", "GET", "GET", "GET", "HEAD", "PUT", "PUT", "PUT", "DELETE", "POST", "OPTIONS", "BREW")
	raw := rawRequest(method, path, strings.Join(header, "\r\n"), body)
	if g.IntN(10) == 0 { // and sometimes one byte is wrong
		changed := []byte(raw)
		changed[g.IntN(min(len(changed), 400))] = byte(g.IntN(256))
		raw = string(changed)
	}
	return raw
}

// pack returns body in zstd, which may be damaged.
func (g *grammar) pack(body string) string {
	if g.packer == nil {
		g.packer, _ = zstd.NewWriter(nil, zstd.WithZeroFrames(true)) // these options fit
	}
	packed := g.packer.EncodeAll([]byte(body), nil)
	switch g.IntN(6) {
	case 0:
		return string(packed[:g.IntN(len(packed)+1)])
	case 1:
		damaged := bytes.Clone(packed)
		damaged[g.IntN(len(damaged))] ^= 1 << g.IntN(8)
		return string(damaged)
	}
	return string(packed)
}

// TestSiege sends many requests to one server. Its seed is fixed.
func TestSiege(t *testing.T) {
	t.Parallel()
	g := &grammar{Rand: rand.New(rand.NewPCG(7, 42))}
	b := besiege(t)
	const requests = 20_000
	statuses := map[int]int{}
	for i := range requests {
		w := b.send(t, g.request())
		if w == nil {
			statuses[0]++
			continue
		}
		statuses[w.Code]++
		if tag := w.Header().Get("ETag"); tag != "" && g.IntN(4) == 0 {
			g.tags = append(g.tags, tag)
			g.tags = g.tags[max(0, len(g.tags)-20):]
		}
		if i%2000 == 0 || t.Failed() {
			b.check(t, fmt.Sprintf("after %d requests", i+1))
		}
		if t.Failed() {
			t.FailNow()
		}
	}
	b.check(t, "in the end")
	t.Logf("statuses: %v", statuses)
	for _, status := range []int{200, 201, 204, 206, 304, 400, 404, 405, 409, 412, 413, 415, 416} {
		if statuses[status] < requests/1000 {
			t.Errorf("only %d answers have status %d: the requests do not get far", statuses[status], status)
		}
	}
}

package httpstore_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/larderbuild/larder/api"
	"github.com/larderbuild/larder/backend"
)

// sentinels are the errors that say what to do next.
var sentinels = []error{
	backend.ErrNotFound, backend.ErrConflict, backend.ErrDigest, backend.ErrDenied,
	backend.ErrReadOnly, backend.ErrNoConditions, backend.ErrUnsupported,
}

// means checks that err is want and no other error of package backend; nil stands for a fault.
func means(t *testing.T, op string, err, want error) {
	t.Helper()
	if err == nil {
		t.Errorf("%s: no error, want %v", op, want)
	}
	for _, sentinel := range sentinels {
		if errors.Is(err, sentinel) != (sentinel == want) {
			t.Errorf("%s: %v, want %v", op, err, want)
		}
	}
}

// TestRefusals: what the answers of a plain server, and those of larder serve, mean.
func TestRefusals(t *testing.T) {
	var (
		fault       error
		notFound    = backend.ErrNotFound
		denied      = backend.ErrDenied
		conflict    = backend.ErrConflict
		digest      = backend.ErrDigest
		conditions  = backend.ErrNoConditions
		unsupported = backend.ErrUnsupported
	)
	for _, test := range []struct {
		code                     int
		reason                   string
		get, put, putIf, delete_ error // of larder serve; a plain server is asked for neither of the last two
	}{
		{400, "", denied, denied, denied, denied},
		{400, api.Digest, digest, digest, digest, digest},
		{401, "", denied, denied, denied, denied},
		{403, "", denied, denied, denied, denied},
		{404, "", notFound, denied, denied, nil},
		{405, "", denied, denied, denied, denied},
		{407, "", denied, denied, denied, denied},
		{408, "", fault, fault, fault, fault},
		{409, "", fault, denied, denied, fault},
		{410, "", notFound, denied, denied, nil},
		{412, "", conflict, fault, conflict, conflict},
		{413, "", fault, fault, fault, fault},
		{416, "", fault, fault, fault, fault},
		{429, "", fault, fault, fault, fault},
		{500, "", fault, fault, fault, fault},
		{501, "", denied, denied, denied, denied},
		{501, api.NoConditions, conditions, conditions, conditions, conditions},
		{501, api.Unsupported, unsupported, unsupported, unsupported, unsupported},
		{502, "", fault, fault, fault, fault},
		{503, "", fault, fault, fault, fault},
		{504, "", fault, fault, fault, fault},
		{507, "", fault, fault, fault, fault},
		{999, "", fault, fault, fault, fault},
	} {
		t.Run(fmt.Sprint(test.code, test.reason), func(t *testing.T) {
			isLarder := false
			server := serving(t, func(w http.ResponseWriter, _ *http.Request) {
				if isLarder {
					w.Header().Set(api.Header, api.Number)
				}
				if test.reason != "" {
					w.Header().Set(api.Reason, test.reason)
				}
				w.Header().Set("Retry-After", "7")
				w.WriteHeader(test.code)
			})
			plain := openFor(t, server.url+"?plain=true")
			_, _, err := get(t, plain, backend.Range{})
			means(t, "get", err, test.get)
			_, err = put(t, plain, "data", backend.Condition{})
			means(t, "put", err, test.put)
			if busy := new(backend.Busy); errors.As(err, &busy) != (test.code == 429 || test.code == 503) || busy.After != 7*time.Second && test.code == 429 {
				t.Errorf("put: %v, %+v", err, busy)
			}

			isLarder = true
			s := openFor(t, server.url)
			_, err = put(t, s, "data", backend.Condition{Absent: true})
			means(t, "put on a condition", err, test.putIf)
			if err := s.Delete(t.Context(), "key", ""); test.delete_ != nil || !errors.Is(test.get, notFound) {
				means(t, "delete", err, test.delete_)
			} else if err != nil {
				t.Errorf("delete of what is gone: %v", err)
			}
			want := test.get
			if want == notFound {
				want = denied
			}
			means(t, "list", list(t, s), want)
		})
	}
}

// TestAdvice: what refuses a Put says what is to be done.
func TestAdvice(t *testing.T) {
	for code, want := range map[int]string{404: "takes no objects there", 405: "takes no PUT", 409: "create_full_put_path"} {
		s := openFor(t, serving(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }).url)
		if _, err := put(t, s, "data", backend.Condition{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%d: %v, want %q", code, err, want)
		}
	}
}

// TestBodies: how an object, or a part of one, comes.
func TestBodies(t *testing.T) {
	const data = "0123456789"
	all, part, tail := backend.Range{}, backend.Range{Offset: 2, Length: 3}, backend.Range{Offset: 7}
	behind := backend.Range{Offset: 10}
	for _, test := range []struct {
		name, status, header, body string
		r                          backend.Range
		want                       string
		fails                      string // "": it does not
	}{
		{name: "whole", status: "200 OK", header: "Content-Length: 10", body: data, r: all, want: data},
		{name: "empty", status: "200 OK", header: "Content-Length: 0", r: all},
		{name: "identity", status: "200 OK", header: "Content-Encoding: identity\r\nContent-Length: 10", body: data, r: all, want: data},
		{name: "chunked", status: "200 OK", header: "Transfer-Encoding: chunked", body: "a\r\n" + data + "\r\n0\r\n\r\n", r: all, fails: "does not say how long"},
		{name: "until it closes", status: "200 OK", header: "X: y", body: data, r: all, fails: "does not say how long"},
		{name: "gzip", status: "200 OK", header: "Content-Encoding: gzip\r\nContent-Length: 10", body: data, r: all, fails: `as "gzip"`},
		{name: "gzip of a part", status: "206 Partial Content", header: "Content-Encoding: gzip\r\nContent-Range: bytes 2-4/10\r\nContent-Length: 3", body: "234", r: part, fails: `as "gzip"`},
		{name: "short", status: "200 OK", header: "Content-Length: 10", body: "0123", r: all, fails: "unexpected EOF"},
		{name: "nothing", status: "204 No Content", header: "X: y", r: all, fails: "204"},
		{name: "part", status: "206 Partial Content", header: "Content-Range: bytes 2-4/10\r\nContent-Length: 3", body: "234", r: part, want: "234"},
		{name: "part in chunks", status: "206 Partial Content", header: "Content-Range: bytes 2-4/10\r\nTransfer-Encoding: chunked", body: "3\r\n234\r\n0\r\n\r\n", r: part, want: "234"},
		{name: "tail", status: "206 Partial Content", header: "Content-Range: bytes 7-9/10\r\nContent-Length: 3", body: "789", r: tail, want: "789"},
		{name: "over the end", status: "206 Partial Content", header: "Content-Range: bytes 7-9/10\r\nContent-Length: 3", body: "789", r: backend.Range{Offset: 7, Length: 100}, want: "789"},
		{name: "short part", status: "206 Partial Content", header: "Content-Range: bytes 2-4/10\r\nContent-Length: 3", body: "2", r: part, fails: "unexpected EOF"},
		{name: "no ranges", status: "200 OK", header: "Content-Length: 10", body: data, r: part, want: "234"},
		{name: "no ranges, tail", status: "200 OK", header: "Content-Length: 10", body: data, r: tail, want: "789"},
		{name: "no ranges, at the end", status: "200 OK", header: "Content-Length: 10", body: data, r: behind},
		{name: "no ranges, short before the part", status: "200 OK", header: "Content-Length: 10", body: "0", r: part, fails: "unexpected EOF"},
		{name: "no ranges, short in the part", status: "200 OK", header: "Content-Length: 10", body: "012", r: part, fails: "unexpected EOF"},
		{name: "another part", status: "206 Partial Content", header: "Content-Range: bytes 3-5/10\r\nContent-Length: 3", body: "345", r: part, fails: "Content-Range"},
		{name: "a longer part", status: "206 Partial Content", header: "Content-Range: bytes 2-9/10\r\nContent-Length: 8", body: "23456789", r: part, fails: "Content-Range"},
		{name: "a shorter part", status: "206 Partial Content", header: "Content-Range: bytes 2-3/10\r\nContent-Length: 2", body: "23", r: part, fails: "Content-Range"},
		{name: "a part of another length", status: "206 Partial Content", header: "Content-Range: bytes 2-4/10\r\nContent-Length: 2", body: "23", r: part, fails: "Content-Range"},
		{name: "a part in the place of all", status: "206 Partial Content", header: "Content-Range: bytes 0-3/10\r\nContent-Length: 4", body: "0123", r: all, fails: "Content-Range"},
		{name: "a part that says nothing", status: "206 Partial Content", header: "Content-Length: 3", body: "234", r: part, fails: "Content-Range"},
		{name: "a part of an unknown size", status: "206 Partial Content", header: "Content-Range: bytes 2-4/*\r\nContent-Length: 3", body: "234", r: part, fails: "Content-Range"},
		{name: "a negative size", status: "206 Partial Content", header: "Content-Range: bytes 2-4/-9\r\nContent-Length: 3", body: "234", r: part, fails: "Content-Range"},
		{name: "backwards", status: "206 Partial Content", header: "Content-Range: bytes 7-4/5\r\nContent-Length: 3", body: "789", r: tail, fails: "Content-Range"},
		{name: "backwards, in chunks", status: "206 Partial Content", header: "Content-Range: bytes 7-4/5\r\nTransfer-Encoding: chunked", body: "3\r\n789\r\n0\r\n\r\n", r: tail, fails: "Content-Range"},
		{name: "behind the end", status: "416 X", header: "Content-Range: bytes */10\r\nContent-Length: 0", r: behind},
		{name: "not behind the end", status: "416 X", header: "Content-Range: bytes */11\r\nContent-Length: 0", r: behind, fails: "416"},
		{name: "behind an end that is not told", status: "416 X", header: "Content-Length: 0", r: behind, fails: "416"},
		{name: "behind a negative end", status: "416 X", header: "Content-Range: bytes */-1\r\nContent-Length: 0", r: behind, fails: "416"},
		{name: "no range was asked for", status: "416 X", header: "Content-Range: bytes */0\r\nContent-Length: 0", r: all, fails: "416"},
	} {
		t.Run(test.name, func(t *testing.T) {
			url := raw(t, func(w io.Writer) {
				fmt.Fprintf(w, "HTTP/1.1 %s\r\nConnection: close\r\n%s\r\n\r\n%s", test.status, test.header, test.body)
			})
			got, obj, err := get(t, openFor(t, url), test.r)
			if test.fails != "" {
				means(t, "get", err, nil)
				if err != nil && !strings.Contains(err.Error(), test.fails) {
					t.Errorf("%v, want %q", err, test.fails)
				}
				return
			}
			if size := int64(len(data)); err != nil || got != test.want || obj.Size != size && test.name != "empty" {
				t.Errorf("got %q, %+v, %v; want %q", got, obj, err, test.want)
			}
		})
	}
}

// raw starts a server that reads the header of one request of each connection, lets answer
// write, and closes the connection.
func raw(t *testing.T, answer func(io.Writer)) (url string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				if _, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
					answer(conn)
				}
			}()
		}
	}()
	return "http://" + l.Addr().String()
}

// TestVersions: an ETag is the version, without a mark of a proxy, or else the time.
func TestVersions(t *testing.T) {
	const date = "Wed, 21 Oct 2026 07:28:00 GMT"
	for _, test := range []struct{ etag, modified, want string }{
		{`"x"`, date, `"x"`}, {`W/"x"`, "", `"x"`}, {"", date, date}, {"", "", ""},
	} {
		s := openFor(t, serving(t, func(w http.ResponseWriter, _ *http.Request) {
			for name, value := range map[string]string{"ETag": test.etag, "Last-Modified": test.modified} {
				if value != "" {
					w.Header().Set(name, value)
				}
			}
		}).url)
		if _, obj, err := get(t, s, backend.Range{}); err != nil || obj.Version != test.want {
			t.Errorf("get: version %q, %v; want %q", obj.Version, err, test.want)
		}
		if obj, err := put(t, s, "data", backend.Condition{}); err != nil || obj.Version != test.want {
			t.Errorf("put: version %q, %v; want %q", obj.Version, err, test.want)
		}
	}
}

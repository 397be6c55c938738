package protocol_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/larderbuild/larder/protocol"
)

// readers are ways to read a body. They must make no difference.
var readers = map[string]func(io.Reader) ([]byte, error){
	"all":     io.ReadAll,
	"by byte": func(r io.Reader) ([]byte, error) { return io.ReadAll(iotest.OneByteReader(r)) },
	"then on": func(r io.Reader) ([]byte, error) { b, err := io.ReadAll(r); r.Read(b); return b, err },
}

func TestBody(t *testing.T) {
	long := strings.Repeat("larder", 10_000)
	tests := []struct {
		name, text string // text: what follows the put's request
		size       int
		want       string // what the handler reads
		wantErr    string // what it reads in the end, in part; "" for EOF
		unanswered bool
	}{
		{name: "no padding", size: 3, text: `"YWJj"`, want: "abc"},
		{name: "one letter of padding", size: 2, text: `"YWI="`, want: "ab"},
		{name: "two letters of padding", size: 1, text: `"YQ=="`, want: "a"},
		{name: "long", size: len(long), text: `"` + base64.StdEncoding.EncodeToString([]byte(long)) + `"`, want: long},
		{name: "on its request's line end", size: 3, text: "\n\r\n\"YWJj\"\n", want: "abc"},
		{name: "empty", size: 3, text: `""`, wantErr: "only 0 bytes: unexpected EOF"},
		{name: "too short", size: 4, text: `"YWJj"`, want: "abc", wantErr: "body of 4 bytes: only 3 bytes"},
		{name: "too long", size: 2, text: `"YWJj"`, want: "ab", wantErr: "longer than 2 bytes"},
		{name: "much too long", size: 2, text: `"YW` + strings.Repeat("A", 100_002) + `"`, want: "a\x60", wantErr: "longer"},
		{name: "too long by a group of padding", size: 3, text: `"YWJj===="`, want: "abc", wantErr: "illegal base64"},
		{name: "cut group", size: 3, text: `"YWJjY"`, want: "abc", wantErr: "illegal base64"},
		{name: "no padding where it belongs", size: 2, text: `"YWI"`, wantErr: "illegal base64"},
		{name: "bits behind the last byte", size: 1, text: `"YR=="`, wantErr: "illegal base64"},
		{name: "padding in the middle", size: 2, text: `"YQ==YQ=="`, want: "a", wantErr: "illegal base64"},
		{name: "padding at the end of a text, and on", size: 3070 + 3,
			text: `"` + strings.Repeat("AAAA", 1023) + `AA==AAAA"`, want: strings.Repeat("\x00", 3070), wantErr: "after the padding"},
		{name: "letters of the other alphabet", size: 3, text: `"-_-_"`, wantErr: "illegal base64"},
		{name: "escaped letter", size: 3, text: `"\u0059WJj"`, wantErr: "illegal base64"},
		{name: "escaped slash", size: 3, text: `"YW\/j"`, wantErr: "illegal base64"},
		{name: "line breaks in the last text", size: 3, text: "\"YW\n\n\n\nJj\"", wantErr: "line break"},
		{name: "line breaks in an earlier text", size: 3072,
			text: "\"\n\n\n\n" + strings.Repeat("AAAA", 1024) + `"`, want: strings.Repeat("\x00", 3069), wantErr: "line break"},
		{name: "given up at once", size: 9, text: `"`, wantErr: "given up", unanswered: true},
		{name: "given up", size: 9, text: `"YWJj`, want: "abc", wantErr: "given up", unanswered: true},
		{name: "given up at its end", size: 3, text: `"YWJj`, want: "abc", wantErr: "given up", unanswered: true},
		{name: "given up after padding", size: 9, text: `"YQ==`, want: "a", wantErr: "given up", unanswered: true},
		{name: "given up after corruption", size: 9, text: `"!`, wantErr: "given up", unanswered: true},
	}
	for _, tt := range tests {
		in := put(1, 'a', 'b', tt.size) + tt.text + get(2, 'a')
		for how, read := range readers {
			t.Run(tt.name+", read "+how, func(t *testing.T) {
				answers, err := serve(t, strings.NewReader(in), funcs{put: func(_ context.Context, put protocol.Put) (string, error) {
					got, err := read(put.Body)
					if string(got) != tt.want && !strings.HasSuffix(tt.wantErr, "base64") {
						t.Errorf("body %.100q, want %.100q", got, tt.want)
					}
					if (tt.wantErr == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), tt.wantErr) {
						t.Errorf("body ends with %v, want %q", err, tt.wantErr)
					}
					return "/x", err
				}})
				if err != nil {
					t.Errorf("Serve = %v", err)
				}
				checkPut(t, answers, tt.wantErr, tt.unanswered)
			})
		}
		// The answer must be the same if the handler does not read the body.
		for name, h := range map[string]funcs{
			"no read": {put: func(context.Context, protocol.Put) (string, error) { return "/x", nil }},
			"one read": {put: func(_ context.Context, put protocol.Put) (string, error) {
				put.Body.Read(make([]byte, 1))
				return "/x", nil
			}},
		} {
			t.Run(tt.name+", "+name, func(t *testing.T) {
				answers, err := serve(t, strings.NewReader(in), h)
				if err != nil {
					t.Errorf("Serve = %v", err)
				}
				checkPut(t, answers, tt.wantErr, tt.unanswered)
			})
		}
	}
}

// checkPut checks the answers to a put (ID 1) and the get after it (ID 2).
func checkPut(t *testing.T, answers, wantErr string, unanswered bool) {
	t.Helper()
	if !strings.HasSuffix(answers, "{\"ID\":2,\"Miss\":true}\n") {
		t.Errorf("answers %q, want a miss at the end", answers)
	}
	want := []string{`{"ID":1,"DiskPath":"/x"}`}
	switch {
	case unanswered:
		want = []string{`{"ID":2,`}
	case wantErr != "":
		want = []string{`{"ID":1,"Err":"`, wantErr}
	}
	for _, part := range want {
		if first, _, _ := strings.Cut(answers, "\n"); !strings.Contains(first, part) {
			t.Errorf("first answer %q, want %q in it", first, part)
		}
	}
}

// client writes requests like the go command's own client. It has one buffer. After an
// error of a body's source, that buffer has neither the last letters of the base64
// encoder nor the closing quote.
type client struct {
	bw   *bufio.Writer
	jenc *json.Encoder
}

func newClient(w io.Writer) client {
	bw := bufio.NewWriter(w)
	return client{bw, json.NewEncoder(bw)}
}

func (c client) send(req map[string]any, body io.Reader, size int64) error {
	if size > 0 {
		req["BodySize"] = size
	}
	c.jenc.Encode(req)
	c.bw.WriteByte('\n')
	if size > 0 {
		c.bw.WriteByte('"')
		e := base64.NewEncoder(base64.StdEncoding, c.bw)
		n, err := io.Copy(e, body)
		if err != nil {
			return err
		}
		e.Close()
		if n != size {
			return errors.New("source changed its size")
		}
		c.bw.WriteString("\"\n")
	}
	return c.bw.Flush()
}

// TestSourceFails makes the source of a body fail after various numbers of bytes. The put
// must not be answered, and the requests behind it must be.
func TestSourceFails(t *testing.T) {
	const size = 10_000
	content := bytes.Repeat([]byte("larder"), size)
	key := bytes.Repeat([]byte{'a'}, 32)
	sources := map[string]func(n int) io.Reader{
		"error": func(n int) io.Reader {
			return io.MultiReader(bytes.NewReader(content[:n]), errReader{os.ErrDeadlineExceeded})
		},
		"end":    func(n int) io.Reader { return bytes.NewReader(content[:n]) },
		"growth": func(n int) io.Reader { return bytes.NewReader(content[:size+1+n]) },
	}
	for name, source := range sources {
		t.Run(name, func(t *testing.T) {
			for n := 0; n < size; n += 1 + n/7 {
				var in bytes.Buffer
				c := newClient(&in)
				err := c.send(map[string]any{"ID": 1, "Command": "put", "ActionID": key, "OutputID": key}, source(n), size)
				if err == nil {
					t.Fatal("the client did not fail")
				}
				c.send(map[string]any{"ID": 2, "Command": "put", "ActionID": key, "OutputID": key}, strings.NewReader("abc"), 3)
				c.send(map[string]any{"ID": 3, "Command": "close"}, nil, 0)
				answers, err := serve(t, &in, funcs{put: func(_ context.Context, put protocol.Put) (string, error) {
					_, err := io.Copy(io.Discard, put.Body)
					if (err != nil) != (put.Size == size) {
						t.Errorf("after %d: body of %d bytes ends with %v", n, put.Size, err)
					}
					return "/x", err
				}})
				if want := "{\"ID\":2,\"DiskPath\":\"/x\"}\n{\"ID\":3}\n"; err != nil || answers != want {
					t.Fatalf("after %d: answers %q, %v; want %q", n, answers, err, want)
				}
			}
		})
	}
}

// TestLargeBody sends a body of 1 GiB and measures how much memory is allocated
// meanwhile. With the race detector, which slows base64 down many times, the body is
// smaller.
func TestLargeBody(t *testing.T) {
	size := int64(1 << 30)
	if testing.Short() || raceDetector() {
		size = 64 << 20
	}
	const budget = 1 << 20
	key := make([]byte, 32)
	requests, stdin := io.Pipe()
	sent, received := sha256.New(), sha256.New()
	go func() {
		random := io.LimitReader(rand.NewChaCha8([32]byte{}), size)
		err := newClient(stdin).send(map[string]any{"ID": 1, "Command": "put", "ActionID": key, "OutputID": key},
			io.TeeReader(random, sent), size)
		stdin.CloseWithError(err)
	}()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	answers, err := serve(t, requests, funcs{put: func(_ context.Context, put protocol.Put) (string, error) {
		n, err := io.Copy(received, put.Body)
		return fmt.Sprint("/", n), err
	}})
	runtime.ReadMemStats(&after)
	if want := fmt.Sprintf("{\"ID\":1,\"DiskPath\":\"/%d\"}\n", size); err != nil || answers != want {
		t.Fatalf("answers %q, %v; want %q", answers, err, want)
	}
	if !bytes.Equal(sent.Sum(nil), received.Sum(nil)) {
		t.Error("another body arrived")
	}
	if n := after.TotalAlloc - before.TotalAlloc; n > budget {
		t.Errorf("%d bytes allocated for a body of %d, want at most %d", n, size, budget)
	}
}

// raceDetector reports whether the test binary was built with -race.
func raceDetector() bool {
	info, ok := debug.ReadBuildInfo()
	return ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}

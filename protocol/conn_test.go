package protocol_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/larderbuild/larder/protocol"
)

const handshake = `{"ID":0,"KnownCommands":["get","put","close"]}` + "\n"

// funcs is a handler that calls functions. If they are nil, it has no entries, and refuses
// puts after it has read their bodies.
type funcs struct {
	get func(ctx context.Context, action protocol.ActionID, reply func(protocol.Entry, error))
	put func(ctx context.Context, put protocol.Put) (string, error)
}

func (f funcs) Get(ctx context.Context, action protocol.ActionID, reply func(protocol.Entry, error)) {
	if f.get == nil {
		reply(protocol.Entry{}, protocol.ErrMiss)
		return
	}
	f.get(ctx, action, reply)
}

func (f funcs) Put(ctx context.Context, put protocol.Put) (string, error) {
	if f.put == nil {
		io.Copy(io.Discard, put.Body)
		return "", errors.New("refused")
	}
	return f.put(ctx, put)
}

// serve runs a session on input and returns its output behind the handshake.
func serve(t *testing.T, input io.Reader, h protocol.Handler) (string, error) {
	t.Helper()
	var out bytes.Buffer
	conn, err := protocol.Start(input, &out)
	if err != nil {
		t.Fatal(err)
	}
	err = conn.Serve(t.Context(), h)
	answers, ok := strings.CutPrefix(out.String(), handshake)
	if !ok {
		t.Fatalf("no handshake first: %q", out.String())
	}
	return answers, err
}

// id returns an ID of 32 bytes c, encoded as in a request.
func id(c byte) string {
	return base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{c}, 32))
}

// get returns the request with ID n to get an action.
func get(n int, action byte) string {
	return fmt.Sprintf("{\"ID\":%d,\"Command\":\"get\",\"ActionID\":%q}\n\n", n, id(action))
}

// put returns the request with ID n to put a body of a size, without the body.
func put(n int, action, output byte, size int) string {
	return fmt.Sprintf("{\"ID\":%d,\"Command\":\"put\",\"ActionID\":%q,\"OutputID\":%q,\"BodySize\":%d}\n\n",
		n, id(action), id(output), size)
}

func TestStartWriteError(t *testing.T) {
	r, w := io.Pipe()
	r.Close()
	if _, err := protocol.Start(strings.NewReader(""), w); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("Start = %v, want %v", err, io.ErrClosedPipe)
	}
}

// scripted returns a handler whose replies to gets depend on the first byte of the action.
// It answers a put with a path that consists of the body.
func scripted() funcs {
	entry := protocol.Entry{
		OutputID: protocol.OutputID(bytes.Repeat([]byte{'o'}, 32)),
		Size:     7,
		Time:     time.Unix(1, 5).In(time.FixedZone("", 3600)),
		DiskPath: "/d",
	}
	replies := map[byte]func() (protocol.Entry, error){
		'h': func() (protocol.Entry, error) { return entry, nil },
		'm': func() (protocol.Entry, error) {
			return entry, fmt.Errorf("nothing: %w", protocol.ErrMiss)
		},
		'e': func() (protocol.Entry, error) { return entry, errors.New("disk on fire") },
		'p': func() (protocol.Entry, error) { e := entry; e.DiskPath = ""; return e, nil },
		't': func() (protocol.Entry, error) { e := entry; e.Time = time.Time{}; return e, nil },
		'y': func() (protocol.Entry, error) {
			e := entry
			e.Time = e.Time.AddDate(9000, 0, 0)
			return e, nil
		},
		's': func() (protocol.Entry, error) { e := entry; e.Size = -1; return e, nil },
		'u': func() (protocol.Entry, error) { e := entry; e.DiskPath = "/\xff"; return e, nil },
		'w': func() (protocol.Entry, error) {
			e := entry
			e.DiskPath = "C:\\böse <&> \"x\"\n\x01\u2028"
			return e, nil
		},
	}
	return funcs{
		get: func(_ context.Context, action protocol.ActionID, reply func(protocol.Entry, error)) {
			reply(replies[action[0]]())
			reply(entry, nil) // must be ignored
		},
		put: func(_ context.Context, put protocol.Put) (string, error) {
			b, err := io.ReadAll(put.Body)
			return "/" + string(b), err
		},
	}
}

func TestServe(t *testing.T) {
	const hit = `"OutputID":"b29vb29vb29vb29vb29vb29vb29vb29vb29vb29vb28=","Size":7,"Time":"1970-01-01T00:00:01.000000005Z"`
	tests := []struct {
		name, in string
		want     string // answers, one a line
		wantErr  string // part of the error; "" for none
	}{
		{name: "nothing"},
		{name: "blank lines", in: "\n\r\n \t\n"},
		{name: "hit", in: get(1, 'h'), want: `{"ID":1,` + hit + `,"DiskPath":"/d"}`},
		{name: "miss", in: get(1, 'm'), want: `{"ID":1,"Miss":true}`},
		{name: "error", in: get(1, 'e'), want: `{"ID":1,"Err":"disk on fire"}`},
		{name: "entry without path", in: get(1, 'p'), want: `{"ID":1,"Miss":true}`},
		{name: "entry without time", in: get(1, 't'), want: `{"ID":1,"Miss":true}`},
		{name: "entry of the year 10970", in: get(1, 'y'), want: `{"ID":1,"Miss":true}`},
		{name: "entry of negative size", in: get(1, 's'), want: `{"ID":1,"Miss":true}`},
		{name: "entry with a path that is not UTF-8", in: get(1, 'u'), want: `{"ID":1,"Miss":true}`},
		{name: "path with all kinds of letters", in: get(1, 'w'), want: `{"ID":1,` + hit +
			`,"DiskPath":"C:\\böse \u003c\u0026\u003e \"x\"\n\u0001\u2028"}`},
		{name: "put", in: put(1, 'a', 'o', 3) + "\"YWJj\"\n", want: `{"ID":1,"DiskPath":"/abc"}`},
		{name: "put with padding", in: put(1, 'a', 'o', 1) + "\"YQ==\"\n", want: `{"ID":1,"DiskPath":"/a"}`},
		{name: "put of nothing", in: put(1, 'a', 'o', 0) + get(2, 'm'), want: `{"ID":1,"DiskPath":"/"}
{"ID":2,"Miss":true}`},
		{name: "close", in: get(1, 'm') + "{\"ID\":2,\"Command\":\"close\"}\n\n" + get(3, 'm'), want: `{"ID":1,"Miss":true}
{"ID":2}`},
		{name: "cut", in: get(1, 'm') + `{"ID":2,"Command":"close"}`, want: `{"ID":1,"Miss":true}`},
		{name: "ID again after its answer", in: get(1, 'm') + get(1, 'm'), want: `{"ID":1,"Miss":true}
{"ID":1,"Miss":true}`},
		{name: "later fields", in: "{\"ID\":1,\"Command\":\"close\",\"New\":{\"x\":[1]}}\n", want: `{"ID":1}`},
		{name: "spaces and any case", in: " { \"id\" : 1 , \"command\" : \"close\" } \r\n", want: `{"ID":1}`},
		{name: "long line", in: `{"ID":1,"Command":"close","New":"` + strings.Repeat("x", 1<<20-100) + "\"}\n", want: `{"ID":1}`},

		{name: "get of a short action", in: "{\"ID\":1,\"Command\":\"get\",\"ActionID\":\"YQ==\"}\n",
			want: `{"ID":1,"Err":"get: action ID 61 has 1 bytes, not 32"}`},
		{name: "get without action", in: "{\"ID\":1,\"Command\":\"get\"}\n",
			want: `{"ID":1,"Err":"get: action ID  has 0 bytes, not 32"}`},
		{name: "put with a short output", in: "{\"ID\":1,\"Command\":\"put\",\"ActionID\":\"" + id('a') + "\",\"OutputID\":\"YQ==\",\"BodySize\":3}\n\"YWJj\"\n" + get(2, 'm'),
			want: `{"ID":1,"Err":"put ` + strings.Repeat("61", 32) + `: output ID 61 has 1 bytes, not 32"}
{"ID":2,"Miss":true}`},
		{name: "put of negative size", in: put(1, 'a', 'o', -1) + get(2, 'm'),
			want: `{"ID":1,"Err":"put ` + strings.Repeat("61", 32) + `: body of -1 bytes"}
{"ID":2,"Miss":true}`},
		{name: "unknown command", in: "{\"ID\":1,\"Command\":\"get2\",\"BodySize\":3}\n\"YWJj\"\n" + get(2, 'm'),
			want: `{"ID":1,"Err":"unknown command \"get2\": use get, put or close"}
{"ID":2,"Miss":true}`},

		{name: "not JSON", in: get(1, 'm') + "hello\n" + get(2, 'm'), want: `{"ID":1,"Miss":true}`, wantErr: `request "hello\n"`},
		{name: "JSON of another kind", in: "[1]\n", wantErr: `request "[1]\n"`},
		{name: "two on a line", in: strings.TrimSpace(get(1, 'm')) + get(2, 'm'), wantErr: "after top-level value"},
		{name: "no ID", in: "{\"Command\":\"close\"}\n", wantErr: "no ID"},
		{name: "null", in: "null\n", wantErr: "no ID"},
		{name: "the handshake's ID", in: "{\"ID\":0,\"Command\":\"close\"}\n", wantErr: "no ID"},
		{name: "negative ID", in: "{\"ID\":-1,\"Command\":\"close\"}\n", wantErr: "no ID"},
		{name: "ID of another type", in: "{\"ID\":\"1\",\"Command\":\"close\"}\n", wantErr: "request"},
		{name: "action that is not base64", in: "{\"ID\":1,\"Command\":\"get\",\"ActionID\":\"!\"}\n", wantErr: "base64"},
		{name: "too long a line", in: "{" + strings.Repeat(" ", 1<<20) + "\"ID\":1}\n", wantErr: "longer than 1048576 bytes"},
		{name: "request instead of a body", in: put(1, 'a', 'o', 3) + get(2, 'm'), wantErr: `'{' where a body of 3 bytes should begin`},
		{name: "body without a request", in: "\"YWJj\"\n", wantErr: "request"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := serve(t, strings.NewReader(tt.in), scripted())
			if got = strings.TrimSpace(got); got != tt.want {
				t.Errorf("answers:\n%s\nwant:\n%s", got, tt.want)
			}
			switch {
			case tt.wantErr == "" && err != nil:
				t.Errorf("Serve = %v", err)
			case tt.wantErr != "" && (err == nil || !strings.Contains(err.Error(), tt.wantErr)):
				t.Errorf("Serve = %v, want %q in it", err, tt.wantErr)
			}
		})
	}
}

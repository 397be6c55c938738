package protocol_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/larderbuild/larder/protocol"
)

const handshake = `{"ID":0,"KnownCommands":["get","put","close"]}` + "\n"

// funcs is a handler made of functions, by default one that has nothing and
// refuses puts after reading them.
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

// serve runs a session on input and returns what came after the handshake.
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

// id returns 32 bytes of c, as they stand in a request.
func id(c byte) string {
	return base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{c}, 32))
}

func get(n int, action byte) string {
	return fmt.Sprintf("{\"ID\":%d,\"Command\":\"get\",\"ActionID\":%q}\n\n", n, id(action))
}

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

func TestServe(t *testing.T) {
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
	h := funcs{
		get: func(_ context.Context, action protocol.ActionID, reply func(protocol.Entry, error)) {
			reply(replies[action[0]]())
			reply(entry, nil) // one too many
		},
		put: func(_ context.Context, put protocol.Put) (string, error) {
			b, err := io.ReadAll(put.Body)
			if put.ActionID[0] == 'l' {
				return "/lazy", nil
			}
			return "/" + string(b), err
		},
	}
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
			got, err := serve(t, strings.NewReader(tt.in), h)
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

// ids returns the IDs of answers, in their order.
func ids(t *testing.T, answers string) (ids []int64) {
	t.Helper()
	for d := json.NewDecoder(strings.NewReader(answers)); ; {
		var a struct{ ID int64 }
		err := d.Decode(&a)
		if err == io.EOF {
			return ids
		}
		if err != nil {
			t.Fatalf("answers %q: %v", answers, err)
		}
		ids = append(ids, a.ID)
	}
}

func TestAnswersInAnyOrder(t *testing.T) {
	const n = 100
	var waiting []func(protocol.Entry, error)
	h := funcs{get: func(_ context.Context, _ protocol.ActionID, reply func(protocol.Entry, error)) {
		if waiting = append(waiting, reply); len(waiting) < n {
			return
		}
		for i := range waiting {
			waiting[n-1-i](protocol.Entry{}, protocol.ErrMiss)
		}
	}}
	var in strings.Builder
	for i := range n {
		in.WriteString(get(i+1, 'a'))
	}
	answers, err := serve(t, strings.NewReader(in.String()), h)
	if err != nil {
		t.Fatal(err)
	}
	got := ids(t, answers)
	if len(got) != n || got[0] != n || got[n-1] != 1 {
		t.Errorf("answers to %v, want %d to 1", got, n)
	}
}

// TestManyGoroutines is for the race detector, and for answers that get mixed.
func TestManyGoroutines(t *testing.T) {
	const n = 1000
	requests, stdin := io.Pipe()
	stdout, answers := io.Pipe()
	h := funcs{
		get: func(_ context.Context, _ protocol.ActionID, reply func(protocol.Entry, error)) {
			for range 2 {
				go reply(protocol.Entry{Time: time.Now(), DiskPath: "/x"}, nil)
			}
		},
		put: func(context.Context, protocol.Put) (string, error) { return "/y", nil },
	}
	go func() {
		for i := range n {
			io.WriteString(stdin, get(2*i+1, 'a')+put(2*i+2, 'a', 'b', 3)+"\"YWJj\"\n")
		}
	}()
	served := make(chan error)
	go func() {
		conn, err := protocol.Start(requests, answers)
		if err == nil {
			err = conn.Serve(t.Context(), h)
		}
		served <- err
	}()
	seen := make(map[int64]bool)
	for d := json.NewDecoder(stdout); len(seen) < 2*n+1; {
		var a struct{ ID int64 }
		if err := d.Decode(&a); err != nil {
			t.Fatal(err)
		}
		if seen[a.ID] || a.ID < 0 || a.ID > 2*n {
			t.Errorf("answer %d again or unknown", a.ID)
		}
		seen[a.ID] = true
	}
	stdin.Close()
	if err := <-served; err != nil {
		t.Error(err)
	}
}

// TestEndWithGetsInFlight ends sessions in each way while two gets have no
// reply. The bubble proves that nothing waits for them before the end, that
// Serve does wait for them then, and that no goroutine is left.
func TestEndWithGetsInFlight(t *testing.T) {
	tests := []struct {
		name, end, want string
		wantErr         bool
	}{
		{name: "close", end: "{\"ID\":3,\"Command\":\"close\"}\n\n", want: "{\"ID\":3}\n"},
		{name: "end of input"},
		{name: "end of input in a body", end: put(3, 'a', 'b', 10) + "\"YWJj"},
		{name: "broken framing", end: "hello\n", wantErr: true},
		{name: "ID in use", end: get(2, 'a'), wantErr: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				replied := 0
				var mu sync.Mutex
				h := funcs{get: func(ctx context.Context, _ protocol.ActionID, reply func(protocol.Entry, error)) {
					go func() {
						<-ctx.Done()
						time.Sleep(time.Second)
						mu.Lock()
						replied++
						mu.Unlock()
						reply(protocol.Entry{Time: time.Now(), DiskPath: "/late"}, nil)
					}()
				}}
				got, err := serve(t, strings.NewReader(get(1, 'a')+get(2, 'a')+tt.end), h)
				if got != tt.want || (err != nil) != tt.wantErr {
					t.Errorf("answers %q, error %v; want %q, %t", got, err, tt.want, tt.wantErr)
				}
				mu.Lock()
				defer mu.Unlock()
				if replied != 2 {
					t.Errorf("Serve returned after %d replies of 2", replied)
				}
			})
		})
	}
}

// TestAnswersAreFlushed asks for the next thing only when the last is answered.
func TestAnswersAreFlushed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		requests, stdin := io.Pipe()
		stdout, answers := io.Pipe()
		go func() {
			conn, err := protocol.Start(requests, answers)
			if err == nil {
				err = conn.Serve(t.Context(), funcs{})
			}
			answers.CloseWithError(err)
		}()
		d := json.NewDecoder(stdout)
		var a struct{ ID int }
		if err := d.Decode(&a); err != nil {
			t.Fatal(err)
		}
		for i, request := range []string{
			get(1, 'a'), get(2, 'a') + put(3, 'a', 'b', 0)[:20], put(3, 'a', 'b', 0)[20:],
			put(4, 'a', 'b', 3) + "\"YWJj\"", "\n{\"ID\":5,\"Command\":\"close\"}\n",
		} {
			if _, err := io.WriteString(stdin, request); err != nil {
				t.Fatal(err)
			}
			if err := d.Decode(&a); err != nil || a.ID != i+1 {
				t.Fatalf("answer %d, %v; want %d", a.ID, err, i+1)
			}
		}
		if err := d.Decode(&a); err != io.EOF {
			t.Errorf("after close: %v, want EOF", err)
		}
	})
}

func TestStdoutGone(t *testing.T) {
	stdout, answers := io.Pipe()
	conn := make(chan *protocol.Conn)
	go func() {
		c, err := protocol.Start(strings.NewReader(get(1, 'a')+get(2, 'a')), answers)
		if err != nil {
			t.Error(err)
		}
		conn <- c
	}()
	if _, err := io.ReadFull(stdout, make([]byte, len(handshake))); err != nil {
		t.Fatal(err)
	}
	stdout.Close()
	gets := 0
	err := (<-conn).Serve(t.Context(), funcs{get: func(_ context.Context, _ protocol.ActionID, reply func(protocol.Entry, error)) {
		gets++
		reply(protocol.Entry{}, protocol.ErrMiss)
	}})
	if !errors.Is(err, io.ErrClosedPipe) || gets != 1 {
		t.Errorf("Serve = %v after %d gets, want %v after 1", err, gets, io.ErrClosedPipe)
	}
}

func TestReadError(t *testing.T) {
	broken := errors.New("broken pipe")
	for _, in := range []string{"", get(1, 'a'), get(1, 'a')[:9], put(1, 'a', 'b', 9) + "\"YWJj"} {
		r := io.MultiReader(strings.NewReader(in), errReader{broken})
		if _, err := serve(t, r, funcs{}); !errors.Is(err, broken) {
			t.Errorf("Serve after %q = %v, want %v", in, err, broken)
		}
	}
}

type errReader struct{ err error }

func (e errReader) Read([]byte) (int, error) { return 0, e.err }

func TestPanicIsNotCaught(t *testing.T) {
	h := funcs{
		get: func(context.Context, protocol.ActionID, func(protocol.Entry, error)) {}, // never replies
		put: func(context.Context, protocol.Put) (string, error) { panic("bug") },
	}
	defer func() {
		if r := recover(); r != "bug" {
			t.Errorf("recovered %v, want the handler's panic", r)
		}
	}()
	serve(t, strings.NewReader(get(1, 'a')+put(2, 'a', 'b', 0)), h)
	t.Error("Serve returned")
}

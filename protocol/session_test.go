package protocol_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/larderbuild/larder/protocol"
)

// ids returns the IDs of the answers, in the order of the answers.
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

// serveLater runs a session on a goroutine of its own. At the end of the session it closes
// out with the session's error, and sends that error.
func serveLater(t *testing.T, in io.Reader, out *io.PipeWriter, h protocol.Handler) <-chan error {
	served := make(chan error, 1)
	go func() {
		conn, err := protocol.Start(in, out)
		if err == nil {
			err = conn.Serve(t.Context(), h)
		}
		out.CloseWithError(err)
		served <- err
	}()
	return served
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

// TestManyGoroutines replies from many goroutines at once. The race detector must find
// nothing, and each answer must be whole.
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
	served := serveLater(t, requests, answers, h)
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

// TestEndWithGetsInFlight ends sessions in each way while two gets have no reply. The
// synctest bubble proves that nothing waits for the replies before the end, that Serve
// waits for them at the end, and that no goroutine is left.
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

// TestAnswersAreFlushed sends each request only when the one before is answered.
func TestAnswersAreFlushed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		requests, stdin := io.Pipe()
		stdout, answers := io.Pipe()
		serveLater(t, requests, answers, funcs{})
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

// TestEndOfInputInBody checks that a body that is cut by the end of input does not end
// with io.EOF, which a handler takes for the end of an intact body.
func TestEndOfInputInBody(t *testing.T) {
	for _, body := range []string{"", `"`, `"YWJj`, `"YWJjYWJj`, `"YQ==`, `"!`} {
		_, err := serve(t, strings.NewReader(put(1, 'a', 'b', 6)+body), funcs{put: func(_ context.Context, put protocol.Put) (string, error) {
			_, err := io.Copy(io.Discard, put.Body)
			if !errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
				t.Errorf("%s: body ends with %v, want %v", body, err, io.ErrUnexpectedEOF)
			}
			return "", err
		}})
		if err != nil {
			t.Errorf("%s: Serve = %v", body, err)
		}
	}
}

// TestEndlessLine has a line without end. Without a limit it would run for ever, or out
// of memory.
func TestEndlessLine(t *testing.T) {
	if _, err := serve(t, endless('{'), funcs{}); err == nil || !strings.Contains(err.Error(), "longer than") {
		t.Errorf("Serve = %v, want a line that is too long", err)
	}
}

// endless is a reader that yields one byte for ever.
type endless byte

func (e endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(e)
	}
	return len(p), nil
}

// errReader is a reader that only fails.
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

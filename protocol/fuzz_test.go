package protocol_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/larderbuild/larder/protocol"
)

// FuzzServe serves any input. Serve must not panic or hang. It must answer the requests
// that requested finds once each, and nothing else. Fuzz with -fuzzminimizetime=20x:
// otherwise the first minutes go into minimizing.
func FuzzServe(f *testing.F) {
	for _, session := range readSessions(f) {
		f.Add(session)
	}
	for _, seed := range []string{
		put(1, 'a', 'b', 9) + `"YWJj` + get(2, 'a'),
		put(1, 'a', 'b', 3) + "\"YW\\/j\"\n" + get(2, 'a') + get(2, 'b'),
		put(1, 'a', 'b', -1) + get(-1, 'a'),
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, input []byte) {
		answers, err := serve(t, bytes.NewReader(input), mixed())
		checkAnswers(t, input, answers, err)
	})
}

// TestCutSessions ends the input of recorded sessions after each of their bytes.
func TestCutSessions(t *testing.T) {
	for name, session := range readSessions(t) {
		t.Run(name, func(t *testing.T) {
			for n := range session {
				answers, err := serve(t, bytes.NewReader(session[:n]), mixed())
				if err != nil {
					t.Fatalf("after %d bytes: %v", n, err)
				}
				checkAnswers(t, session[:n], answers, err)
			}
			// It must make no difference in how many bytes the input is read.
			whole, _ := serve(t, bytes.NewReader(session), mixed())
			byByte, _ := serve(t, iotest.OneByteReader(bytes.NewReader(session)), mixed())
			if whole != byByte || whole == "" {
				t.Errorf("answers when read by byte:\n%s\nat once:\n%s", byByte, whole)
			}
		})
	}
}

// mixed returns a handler that replies to every other get only at the end of the session,
// and reads only every other body.
func mixed() protocol.Handler {
	n := 0
	return funcs{
		get: func(ctx context.Context, _ protocol.ActionID, reply func(protocol.Entry, error)) {
			late := func() { reply(protocol.Entry{Time: time.Unix(1, 1), DiskPath: "/x"}, nil) }
			if n++; n%2 == 0 {
				context.AfterFunc(ctx, late)
				return
			}
			late()
		},
		put: func(_ context.Context, put protocol.Put) (string, error) {
			if n++; n%2 == 0 {
				return "/x", nil
			}
			_, err := io.Copy(io.Discard, put.Body)
			return "/x", err
		},
	}
}

// checkAnswers compares the answers with the requests that requested finds. No ID may be
// answered more often than it was asked for. In a session without gets, none may be
// answered less often.
func checkAnswers(t *testing.T, input []byte, answers string, err error) {
	t.Helper()
	asked, gets := requested(input)
	answered := ids(t, answers)
	slices.Sort(asked)
	slices.Sort(answered)
	if err == nil && gets == 0 && !slices.Equal(asked, answered) {
		t.Errorf("answers to %v, want to %v", answered, asked)
	}
	for _, id := range answered {
		i, ok := slices.BinarySearch(asked, id)
		if !ok {
			t.Fatalf("answers to %v, requests were only %v", answered, asked)
		}
		asked = slices.Delete(asked, i, i+1)
	}
}

// requested returns the IDs of the requests in a session that want an answer, and the
// number of gets. It follows the rules in doc.go, but has the whole input at once.
func requested(input []byte) (asked []int64, gets int) {
	for {
		input = bytes.TrimLeft(input, "\n\r\t ")
		line, rest, ok := bytes.Cut(input, []byte("\n"))
		var req struct {
			ID, BodySize       int64
			Command            string
			ActionID, OutputID []byte
		}
		if !ok || json.Unmarshal(line, &req) != nil || req.ID <= 0 {
			return asked, gets
		}
		input = rest
		if req.Command == "close" {
			return append(asked, req.ID), gets
		}
		if req.Command == "get" {
			gets++
		}
		if req.BodySize > 0 {
			input = bytes.TrimLeft(input, "\n\r\t ")
			i := bytes.IndexAny(input[min(1, len(input)):], "\"{") + 1
			if i == 0 || input[0] != '"' {
				return asked, gets
			}
			if input = input[i:]; input[0] == '{' {
				continue
			}
			input = input[1:]
		}
		asked = append(asked, req.ID)
	}
}

func TestRequested(t *testing.T) {
	got, gets := requested([]byte(put(1, 'a', 'b', 9) + `"YWJj` + get(2, 'a') +
		put(3, 'a', 'b', 3) + "\"YWJj\"\n" + strings.Repeat("\n", 9) + `{"ID":4,"Command":"close"}` + "\n" + get(5, 'a')))
	if want := []int64{2, 3, 4}; !slices.Equal(got, want) || gets != 1 {
		t.Errorf("requested = %v, %d, want %v, 1", got, gets, want)
	}
}

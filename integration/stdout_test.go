package integration

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/larderbuild/larder/testserver"
)

// TestNothingButAnswersOnStdout replays a build's requests to larder itself,
// and reads all that it says.
func TestNothingButAnswersOnStdout(t *testing.T) {
	t.Parallel()
	c, s := usualChain(t), s3Store(t)
	record := filepath.Join(t.TempDir(), "record")
	c.build(s.machine(t, c, s.endpoint, "LARDER_RECORD="+record))
	requests := readFile(t, record)
	down := testserver.Proxy(t, s.endpoint)
	down.Down()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		settings []string
		input    []byte
	}{
		"well":             {nil, requests},
		"down":             {[]string{"LARDER_REMOTE=" + s.url(down.Endpoint)}, requests},
		"wrong remote":     {[]string{"LARDER_REMOTE=ftp://x"}, requests},
		"wrong everything": {[]string{"LARDER_REMOTE=?", "LARDER_CLOSE=x", "LARDER_BUDGET=x", "LARDER_DIR=x"}, requests},
		"no directory":     {[]string{"LARDER_DIR=" + file}, requests},
		"all logged":       {[]string{"LARDER_LOG=debug", "LARDER_STATS=1"}, requests},
		"no record":        {[]string{"LARDER_RECORD=" + file + "/x"}, requests},
		"no patience":      {[]string{"LARDER_BUDGET=0"}, requests},
		"cut":              {nil, requests[:len(requests)-len(requests)/3]},
		"no input":         {nil, nil},
		"no JSON":          {nil, []byte("GET / HTTP/1.0\n\n")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			m := newMachine(t, c.dir, s.url(s.endpoint), append(s.env, test.settings...)...)
			cmd := m.command(ctx, larder)
			cmd.Stdin = bytes.NewReader(test.input)
			r := m.await(cmd)
			if r.status != 0 || strings.Contains(r.stderr, "panic") {
				t.Errorf("exit status %d\n%s", r.status, r.stderr)
			}
			wantAnswers(t, r.stdout)
		})
	}
}

func wantAnswers(t *testing.T, stdout string) {
	t.Helper()
	decoder := json.NewDecoder(strings.NewReader(stdout))
	decoder.DisallowUnknownFields()
	for n := 0; ; n++ {
		var answer struct {
			ID            int64
			KnownCommands []string
			Err, DiskPath string
			Miss          bool
			OutputID      []byte
			Size          int64
			Time          *time.Time
		}
		switch err := decoder.Decode(&answer); {
		case err == io.EOF && n > 0:
			return
		case err != nil:
			t.Fatalf("answer %d: %v", n, err)
		case (n == 0) != (len(answer.KnownCommands) > 0):
			t.Errorf("answer %d: %+v", n, answer)
		}
	}
}

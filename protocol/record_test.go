package protocol_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var record = flag.Bool("record", false, "record testdata/sessions anew")

const sessionsDir = "testdata/sessions"

// TestRecordSessions records what the go command sends for the module testdata/pantry.
// Another module was built before, so the packages of the standard library are cached.
// With -record the test writes all of testdata/sessions; otherwise it records one
// session, to test the recorder. cutSession keeps the sessions small.
func TestRecordSessions(t *testing.T) {
	sessions := map[string][]string{
		"build": {"build", "-p", "1", "./..."},
		"test":  {"test", "-p", "1", "-cover", "./..."},
		"vet":   {"vet", "-p", "1", "./..."},
		"list":  {"list", "-p", "1", "-export", "-deps", "-test", "./..."},
	}
	dir := sessionsDir
	if !*record {
		dir = t.TempDir()
		sessions = map[string][]string{"build": sessions["build"]}
	}
	warm := t.TempDir()
	module := copyDir(t, "testdata/pantry")
	for _, name := range []string{"go.mod", "pantry.go", "pantry_test.go"} {
		b, err := os.ReadFile(filepath.Join(module, name))
		if err != nil {
			t.Fatal(err)
		}
		b = bytes.ReplaceAll(b, []byte("pantry"), []byte("cellar"))
		if err := os.WriteFile(filepath.Join(module, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, args := range sessions {
		goCommand(t, module, warm, "", args...)
	}
	for name, args := range sessions {
		path := filepath.Join(t.TempDir(), name)
		goCommand(t, copyDir(t, "testdata/pantry"), copyDir(t, warm), path, args...)
		session, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		session = cutSession(t, session)
		if !bytes.Contains(session, []byte(`"Command":"get"`)) {
			t.Errorf("the session of go %s asked for nothing:\n%s", name, session)
		}
		if err := os.WriteFile(filepath.Join(dir, name), session, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// cutSession shortens a session. Of gets in a row it keeps the first three. Of each body it
// keeps the first 90 bytes, and changes the request accordingly.
func cutSession(t *testing.T, session []byte) []byte {
	const maxGets, maxBody = 3, 90
	var out bytes.Buffer
	gets := 0
	lines := strings.Split(string(session), "\n")
	for i, line := range lines {
		if !strings.HasPrefix(line, "{") {
			continue
		}
		var req struct {
			ID       int64
			Command  string
			ActionID []byte `json:",omitempty"`
			OutputID []byte `json:",omitempty"`
			BodySize int    `json:",omitempty"`
		}
		if err := json.Unmarshal([]byte(line), &req); err != nil {
			t.Fatal(err)
		}
		if req.Command != "get" {
			gets = 0
		} else if gets++; gets > maxGets {
			continue
		}
		if req.BodySize == 0 {
			fmt.Fprintf(&out, "%s\n\n", line)
			continue
		}
		body, err := base64.StdEncoding.DecodeString(strings.Trim(lines[i+2], `"`))
		if err != nil {
			t.Fatal(err)
		}
		body = body[:min(len(body), maxBody)]
		sum := sha256.Sum256(body)
		req.OutputID, req.BodySize = sum[:], len(body)
		if err := json.NewEncoder(&out).Encode(req); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&out, "\n\"%s\"\n", base64.StdEncoding.EncodeToString(body))
	}
	return out.Bytes()
}

// copyDir returns a copy of a folder.
func copyDir(t *testing.T, dir string) string {
	t.Helper()
	to := t.TempDir()
	if err := os.CopyFS(to, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	return to
}

// readSessions returns the recorded sessions by name.
func readSessions(tb testing.TB) map[string][]byte {
	tb.Helper()
	entries, err := os.ReadDir(sessionsDir)
	if err != nil {
		tb.Fatal(err)
	}
	sessions := make(map[string][]byte)
	for _, e := range entries {
		b, err := os.ReadFile(filepath.Join(sessionsDir, e.Name()))
		if err != nil {
			tb.Fatal(err)
		}
		sessions[e.Name()] = b
	}
	if len(sessions) == 0 {
		tb.Fatalf("no recorded sessions in %s: go test -run RecordSessions -record", sessionsDir)
	}
	return sessions
}

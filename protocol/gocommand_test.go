package protocol_test

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/larderbuild/larder/protocol"
)

// Variables that make the test binary a helper for the go command.
const (
	helperDir    = "LARDER_PROTOCOL_TEST_DIR"    // folder in which it stores entries
	helperRecord = "LARDER_PROTOCOL_TEST_RECORD" // file to which it copies its input; may be empty
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(helperDir); dir != "" {
		if err := helper(dir, os.Getenv(helperRecord)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	m.Run()
}

// helper serves the go command on stdin and stdout from the folder dir.
func helper(dir, record string) error {
	in := io.Reader(os.Stdin)
	if record != "" {
		f, err := os.Create(record)
		if err != nil {
			return err
		}
		defer f.Close()
		in = io.TeeReader(in, f)
	}
	conn, err := protocol.Start(in, os.Stdout)
	if err != nil {
		return err
	}
	return conn.Serve(context.Background(), directory(dir))
}

// directory is a handler that stores each entry in two files of a folder: the entry as
// JSON, and its body.
type directory string

func (d directory) Get(_ context.Context, action protocol.ActionID, reply func(protocol.Entry, error)) {
	var e protocol.Entry
	b, err := os.ReadFile(d.path(action))
	if err != nil {
		reply(e, fmt.Errorf("%w: %w", protocol.ErrMiss, err))
		return
	}
	err = json.Unmarshal(b, &e)
	reply(e, err)
}

func (d directory) Put(_ context.Context, put protocol.Put) (string, error) {
	body, err := io.ReadAll(put.Body)
	if err != nil {
		return "", err
	}
	if sha256.Sum256(body) != put.OutputID {
		return "", fmt.Errorf("put %s: body is not %s", put.ActionID, put.OutputID)
	}
	e := protocol.Entry{OutputID: put.OutputID, Size: put.Size, Time: time.Now(), DiskPath: d.path(put.OutputID)}
	if err := os.WriteFile(e.DiskPath, body, 0o600); err != nil {
		return "", err
	}
	b, err := json.Marshal(e)
	if err != nil {
		return "", err
	}
	return e.DiskPath, os.WriteFile(d.path(put.ActionID), b, 0o600)
}

func (d directory) path(id fmt.Stringer) string { return filepath.Join(string(d), id.String()) }

// goCommand runs the go command in the folder module and returns what it printed. Its
// helper stores entries in the folder store.
func goCommand(t *testing.T, module, store, record string, args ...string) string {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "go", args...)
	cmd.Dir = module
	cmd.Env = append(os.Environ(),
		"GOCACHEPROG="+exe, "GOCACHE="+t.TempDir(), "GOFLAGS=", "GOWORK=off", "GOPROXY=off",
		"GOTOOLCHAIN=local", "CGO_ENABLED=0", helperDir+"="+store, helperRecord+"="+record)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// TestGoCommandBuildsOnce builds twice: the second build must compile nothing.
func TestGoCommandBuildsOnce(t *testing.T) {
	store := t.TempDir()
	const compile = "compile" // in the path of the tool
	for _, trim := range []string{"-trimpath=false", "-trimpath=true"} {
		args := []string{"build", "-x", trim, "./..."}
		if out := goCommand(t, "testdata/pantry", store, "", args...); !strings.Contains(out, compile) {
			t.Errorf("first build %q compiles nothing:\n%s", args, out)
		}
		if out := goCommand(t, "testdata/pantry", store, "", args...); strings.Contains(out, compile) {
			t.Errorf("second build %q compiles again:\n%s", args, out)
		}
	}
}

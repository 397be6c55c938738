//go:build unix

package cli

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// startedEnv names a file that this program writes, instead of running tests.
const startedEnv = "LARDER_TEST_STARTED"

func TestMain(m *testing.M) {
	if path := os.Getenv(startedEnv); path != "" {
		if err := os.WriteFile(path, []byte(strings.Join(os.Args[1:], "\n")), 0o600); err != nil {
			panic(err)
		}
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// TestQuoteFieldForGo: the go command starts the program whose path was quoted, with
// the argument that was.
func TestQuoteFieldForGo(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	module := t.TempDir()
	writeFile(t, filepath.Join(module, "go.mod"), "module example.com/m\n")
	writeFile(t, filepath.Join(module, "m.go"), "package m\n")
	for _, test := range quotings {
		if test.want == "" {
			continue
		}
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			program := filepath.Join(dir, filepath.FromSlash(test.text), "larder")
			if err := os.MkdirAll(filepath.Dir(program), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(self, program); err != nil {
				t.Fatal(err)
			}
			field, err := quoteField(program)
			if err != nil {
				t.Fatal(err)
			}
			argument, err := quoteField(test.text)
			if err != nil {
				t.Fatal(err)
			}
			started := filepath.Join(dir, "started")
			cmd := exec.CommandContext(t.Context(), "go", "build", ".")
			cmd.Dir = module
			cmd.Env = append(os.Environ(), startedEnv+"="+started, "GOCACHEPROG="+field+" "+argument+" last", "GOFLAGS=", "GOWORK=off", "GOENV=off")
			out, err := cmd.CombinedOutput()
			if exit := new(exec.ExitError); !errors.As(err, &exit) { // the program ends without a word
				t.Fatalf("%v\n%s", err, out)
			}
			if got, err := os.ReadFile(started); err != nil || string(got) != test.text+"\nlast" {
				t.Errorf("GOCACHEPROG=%s %s last: the program got %q, %v\n%s", field, argument, got, err, out)
			}
		})
	}
}

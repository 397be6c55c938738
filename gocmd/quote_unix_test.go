//go:build unix

package gocmd_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/larderbuild/larder/gocmd"
)

// TestQuoteFieldForGo shows that the go command starts the program whose path was
// quoted, with the argument that was quoted.
func TestQuoteFieldForGo(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	module := writeModule(t, "\n-- go.mod --\nmodule example.com/m\n-- m.go --\npackage m\n")
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
			field, err := gocmd.QuoteField(program)
			if err != nil {
				t.Fatal(err)
			}
			argument, err := gocmd.QuoteField(test.text)
			if err != nil {
				t.Fatal(err)
			}
			started := filepath.Join(dir, "started")
			cmd := exec.CommandContext(t.Context(), "go", "build", ".")
			cmd.Dir = module
			cmd.Env = append(os.Environ(), helperStarted+"="+started, "GOCACHEPROG="+field+" "+argument+" last", "GOFLAGS=", "GOWORK=off", "GOENV=off")
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

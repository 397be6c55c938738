package gocmd_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
)

// environ returns the environment of this process, without the variables that change
// what the go command does, and with extra.
func environ(extra ...string) []string {
	turns := regexp.MustCompile(`^(GOFLAGS|GOENV|GOCACHEPROG|GOTOOLCHAIN|GODEBUG|GOWORK|GO111MODULE)=`)
	return slices.Concat(slices.DeleteFunc(os.Environ(), turns.MatchString), []string{
		"GOENV=off", "GOWORK=off",
		"GORACE=atexit_sleep_ms=0", // or each helper sleeps for a second
	}, extra)
}

// helped returns variables that make the go command use the test binary as its helper,
// which writes its reports to the file reports.
func helped(t *testing.T, reports string) []string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return []string{"GOCACHEPROG=" + self, helperReport + "=" + reports}
}

// try runs a command in dir, and returns what it printed.
func try(t *testing.T, dir string, env []string, name string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir, cmd.Env = dir, env
	out, err := cmd.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out)), err
}

// run runs a command that must not fail.
func run(t *testing.T, dir string, env []string, name string, args ...string) string {
	t.Helper()
	out, err := try(t, dir, env, name, args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// writeModule writes the files of a txtar archive into a new folder, and returns
// its path as the go command has it.
func writeModule(t *testing.T, archive string) string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := txtar.Write(txtar.Parse([]byte(archive)), dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

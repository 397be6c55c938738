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

// environ returns this process's environment with extra, and without variables that would
// change what the go command does.
func environ(extra ...string) []string {
	turns := regexp.MustCompile(`^(GOFLAGS|GOENV|GOCACHEPROG|GOTOOLCHAIN|GODEBUG|GOWORK|GO111MODULE)=`)
	return slices.Concat(slices.DeleteFunc(os.Environ(), turns.MatchString), []string{
		"GOENV=off", "GOWORK=off",
		"GORACE=atexit_sleep_ms=0", // otherwise each helper sleeps for a second
	}, extra)
}

// helped returns variables with which the go command uses the test binary as its helper.
// The helper writes its reports to a file.
func helped(t *testing.T, reports string) []string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return []string{"GOCACHEPROG=" + self, helperReport + "=" + reports}
}

// try runs a command in dir, and returns its output.
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

// run is try for a command that must not fail.
func run(t *testing.T, dir string, env []string, name string, args ...string) string {
	t.Helper()
	out, err := try(t, dir, env, name, args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// writeModule writes the files of a txtar archive to a new folder, and returns the
// folder's path in the form that the go command uses.
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

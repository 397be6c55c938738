package testserver

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gofrs/flock"
)

// modulePath marks larder's own go.mod among those found on the way up.
const modulePath = "github.com/larderbuild/larder"

// buildLimit bounds one build, and so the wait for another process's.
const buildLimit = 10 * time.Minute

// binary returns the path of the server that pkg is the main package of,
// building it if this version has not been built on this machine before.
func binary(t testing.TB, pkg string) string {
	t.Helper()
	file, err := build(t.Context(), pkg)
	if err != nil {
		unavailable(t, "build %s: %v", pkg, err)
	}
	return file
}

// unavailable skips the test, or fails it where CI is set.
func unavailable(t testing.TB, format string, args ...any) {
	t.Helper()
	if ci := os.Getenv("CI"); ci != "" && ci != "false" {
		t.Fatalf(format, args...)
	}
	t.Skipf(format, args...)
}

func build(ctx context.Context, pkg string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, buildLimit)
	defer cancel()

	modules, err := modulesDir()
	if err != nil {
		return "", err
	}
	sum, err := os.ReadFile(filepath.Join(modules, "go.sum"))
	if err != nil {
		return "", err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir()
	}
	version := sha256.Sum256(append(sum, runtime.Version()...))
	dir := filepath.Join(cache, "larder-testserver", fmt.Sprintf("%x", version[:8]))
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return "", err
	}

	name := path.Base(pkg)
	if runtime.GOOS == "windows" {
		name += ".exe"
	}
	file := filepath.Join(dir, name)
	if _, err := os.Stat(file); err == nil {
		return file, nil
	}

	// The test binaries of several packages start at once; one builds.
	lock := flock.New(file + ".lock")
	if _, err := lock.TryLockContext(ctx, 100*time.Millisecond); err != nil {
		return "", err
	}
	defer lock.Close()
	if _, err := os.Stat(file); err == nil {
		return file, nil
	}

	// A build that is killed leaves the temporary file, never half a server.
	temp := filepath.Join(dir, "new-"+name)
	cmd := exec.CommandContext(ctx, "go", "build", "-C", modules, "-o", temp, pkg)
	cmd.Env = cleanEnviron()
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w\n%s", err, bytes.TrimSpace(out))
	}
	return file, os.Rename(temp, file)
}

// cleanEnviron is the environment without what a test of larder may have set
// for larder's sake: servers are built by the plain go command.
func cleanEnviron() []string {
	return slices.DeleteFunc(os.Environ(), func(entry string) bool {
		name, _, _ := strings.Cut(entry, "=")
		return name == "GOCACHEPROG" || name == "GOFLAGS" || strings.HasPrefix(name, "LARDER_")
	})
}

// modulesDir finds the servers' module from the working directory, which
// under go test is the folder of the package that is tested.
func modulesDir() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		mod, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err == nil && strings.HasPrefix(string(mod), "module "+modulePath+"\n") {
			return filepath.Join(dir, "testserver", "modules"), nil
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", fmt.Errorf("no go.mod of %s above the working directory", modulePath)
		}
		dir = parent
	}
}

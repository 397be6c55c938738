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
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gofrs/flock"
	"golang.org/x/mod/module"
)

// modulePath is larder's module path, by which sourceDir finds its go.mod.
const modulePath = "github.com/larderbuild/larder"

const (
	// buildLimit is how long a build may take, or the wait for another process's build.
	buildLimit = 10 * time.Minute

	// keepUnused is how long the servers of other versions are kept.
	keepUnused = 30 * 24 * time.Hour
)

// binary returns the path of the server whose main package is pkg. If nobody has built
// this version on this machine before, it builds all servers.
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

// build is binary without a test. The first caller builds all servers at once, so that
// each package that they share is compiled once.
func build(ctx context.Context, pkg string) (string, error) {
	modules, err := sourceDir("modules")
	if err != nil {
		return "", err
	}
	sources, err := filepath.Glob(filepath.Join(modules, "*", "*.go"))
	if err != nil {
		return "", err
	}
	tools := runtime.Version() + runtime.GOOS + runtime.GOARCH
	dir, err := versionDir(tools, append(sources, filepath.Join(modules, "go.sum"))...)
	if err != nil {
		return "", err
	}
	name, _, _ := module.SplitPathVersion(pkg) // the go command leaves a version out of it
	file := filepath.Join(dir, filepath.Base(name))
	if runtime.GOOS == "windows" {
		file += ".exe"
	}
	return file, once(ctx, dir, file, func(ctx context.Context) error { return buildAll(ctx, modules, dir) })
}

// once calls fill, which makes file in dir, if nobody has done so before on this machine.
// Callers in other processes wait for it.
func once(ctx context.Context, dir, file string, fill func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, buildLimit)
	defer cancel()
	if _, err := os.Stat(file); err == nil {
		now := time.Now()
		return os.Chtimes(dir, now, now) // it is in use
	}
	lock := flock.New(filepath.Join(dir, "lock"))
	if _, err := lock.TryLockContext(ctx, 100*time.Millisecond); err != nil {
		return err
	}
	defer lock.Close()
	if _, err := os.Stat(file); err == nil {
		return nil
	}
	if err := fill(ctx); err != nil {
		return err
	}
	return removeUnused(filepath.Dir(dir), time.Now().Add(-keepUnused))
}

// versionDir returns the folder for what tools, whose versions the text names, make of the
// given files. It creates the folder.
func versionDir(tools string, files ...string) (string, error) {
	version := sha256.New()
	fmt.Fprint(version, tools)
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			return "", err
		}
		version.Write(data)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir()
	}
	dir := filepath.Join(cache, "larder-testserver", fmt.Sprintf("%x", version.Sum(nil)[:8]))
	return dir, os.MkdirAll(dir, 0o777)
}

// buildAll builds every tool of the module in modules and moves the binaries to dir. If it
// is killed, it leaves a temporary folder, but never half a server. The caller has the lock.
func buildAll(ctx context.Context, modules, dir string) error {
	temp := filepath.Join(dir, "new")
	cmd := exec.CommandContext(ctx, "go", "build", "-C", modules, "-o", temp+string(filepath.Separator), "tool")
	cmd.Env = cleanEnviron()
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w\n%s", err, bytes.TrimSpace(out))
	}
	servers, err := os.ReadDir(temp)
	if err != nil {
		return err
	}
	for _, server := range servers {
		if err := os.Rename(filepath.Join(temp, server.Name()), filepath.Join(dir, server.Name())); err != nil {
			return err
		}
	}
	return os.Remove(temp)
}

// removeUnused removes the folders in folder that were last used before the given time.
func removeUnused(folder string, before time.Time) error {
	versions, err := os.ReadDir(folder)
	if err != nil {
		return err
	}
	for _, v := range versions {
		if info, err := v.Info(); err == nil && info.ModTime().Before(before) {
			if err := os.RemoveAll(filepath.Join(folder, v.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

// cleanEnviron returns the environment without the variables that a test may have set for
// larder, because the go command must build the servers without larder.
func cleanEnviron() []string {
	return slices.DeleteFunc(os.Environ(), func(entry string) bool {
		name, _, _ := strings.Cut(entry, "=")
		return name == "GOCACHEPROG" || name == "GOFLAGS" || strings.HasPrefix(name, "LARDER_")
	})
}

// sourceDir returns the folder called name of this package. It looks for larder's module
// above the working directory, which under go test is the folder of the package that is
// tested.
func sourceDir(name string) (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		mod, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err == nil && strings.HasPrefix(string(mod), "module "+modulePath+"\n") {
			return filepath.Join(dir, "testserver", name), nil
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

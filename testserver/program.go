package testserver

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// Program returns the path of the program that .ci/tools pins under name. If nobody has built
// this version on this machine before, it builds it, with the given flags of go install.
func Program(t testing.TB, name string, flags ...string) string {
	t.Helper()
	file, err := program(t.Context(), name, flags)
	if err != nil {
		unavailable(t, "build %s: %v", name, err)
	}
	return file
}

// program is Program without a test.
func program(ctx context.Context, name string, flags []string) (string, error) {
	pinned, err := pinnedPackage(name)
	if err != nil {
		return "", err
	}
	args := slices.Concat([]string{"install"}, flags, []string{pinned})
	dir, err := versionDir(fmt.Sprint(args, runtime.Version(), runtime.GOOS, runtime.GOARCH))
	if err != nil {
		return "", err
	}
	file := filepath.Join(dir, name)
	if runtime.GOOS == "windows" {
		file += ".exe"
	}
	return file, once(ctx, dir, file, func(ctx context.Context) error {
		cmd := exec.CommandContext(ctx, "go", args...)
		cmd.Dir = dir // which is in no module
		cmd.Env = append(cleanEnviron(), "GOBIN="+dir)
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%w\n%s", err, out)
		}
		return nil
	})
}

// pinnedPackage returns the package and version that .ci/tools has for name.
func pinnedPackage(name string) (string, error) {
	here, err := sourceDir("")
	if err != nil {
		return "", err
	}
	file := filepath.Join(here, "..", ".ci", "tools")
	lines, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	variable := strings.ReplaceAll(name, "-", "_") // for the shell
	for line := range strings.Lines(string(lines)) {
		if pinned, ok := strings.CutPrefix(strings.TrimSpace(line), variable+"="); ok {
			return pinned, nil
		}
	}
	return "", fmt.Errorf("%s has no line for %s", file, name)
}

package testserver

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Node returns the path of node, and that of file in the packages of npm that
// npm/package-lock.json pins. If nobody has installed this version of them on this machine
// before, it installs all of them.
func Node(t testing.TB, file string) (node, program string) {
	t.Helper()
	node, err := exec.LookPath("node")
	if err == nil {
		program, err = install(t.Context(), file)
	}
	if err != nil {
		unavailable(t, "%v", err)
	}
	return node, program
}

// install is Node without a test.
func install(ctx context.Context, file string) (string, error) {
	packages, err := sourceDir("npm")
	if err != nil {
		return "", err
	}
	dir, err := versionDir("npm", filepath.Join(packages, "package-lock.json"))
	if err != nil {
		return "", err
	}
	program := filepath.Join(dir, "node_modules", filepath.FromSlash(file))
	return program, once(ctx, dir, program, func(ctx context.Context) error { return installAll(ctx, packages, dir) })
}

// installAll has npm install the packages that the files in packages name, and moves them
// to dir. No package runs a script of its own. If installAll is killed, it leaves a
// temporary folder, but never half a package. The caller has the lock.
func installAll(ctx context.Context, packages, dir string) error {
	temp := filepath.Join(dir, "new")
	if err := os.RemoveAll(temp); err != nil {
		return err
	}
	if err := os.CopyFS(temp, os.DirFS(packages)); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
	cmd.Dir, cmd.Env = temp, cleanEnviron()
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("npm ci: %w\n%s", err, bytes.TrimSpace(out))
	}
	if err := os.Rename(filepath.Join(temp, "node_modules"), filepath.Join(dir, "node_modules")); err != nil {
		return err
	}
	return os.RemoveAll(temp)
}

//go:build wine

package wine

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// onWine are the tests that fail here and not on Windows, by package, and why.
var onWine = map[string]map[string]string{
	"backend/azblob": {"TestMetadata": "its az is a script for a shell"},
	"backend/dir":    {"TestNoRoot": noLinks},
	"session":        {"TestNoRoomForJournals": noLinks},
}

const noLinks = "Wine makes no symbolic links, and says nothing"

// elsewhere are the packages whose tests need what there is not under Wine, and what that is.
var elsewhere = map[string]string{
	"bench":       "a go command of this system",
	"integration": "a go command of this system",
	"testserver":  "servers of this system",
}

// failed finds the names of tests that have failed.
var failed = regexp.MustCompile(`(?m)^--- FAIL: (\w+)`)

// TestPackages runs the tests of larder's packages, built for Windows.
func TestPackages(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("go", "list", "-f", "{{if or .TestGoFiles .XTestGoFiles}}{{.Dir}}{{end}}", "./...")
	cmd.Dir, cmd.Env = root, append(os.Environ(), "GOOS=windows")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range strings.Fields(string(out)) {
		name, err := filepath.Rel(root, dir)
		if err != nil {
			t.Fatal(err)
		}
		first, _, _ := strings.Cut(name, "/")
		if elsewhere[first] != "" || elsewhere[name] != "" {
			continue
		}
		t.Run(name, func(t *testing.T) { testPackage(t, dir, onWine[name]) })
	}
}

// testPackage runs the tests of the package in dir. Those that are known to fail must do so.
func testPackage(t *testing.T, dir string, known map[string]string) {
	program := filepath.Join(t.TempDir(), "package.test.exe")
	if err := forWindows(dir, "test", "-c", "-o", program, "."); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	cmd := wineCommand(ctx, []string{"TMP=" + win(t.TempDir())}, program, "-test.short")
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	text := strings.ReplaceAll(string(out), "\r", "")
	found := make(map[string]bool)
	for _, match := range failed.FindAllStringSubmatch(text, -1) {
		found[match[1]] = true
		if known[match[1]] == "" {
			t.Errorf("%s fails", match[1])
		}
	}
	for name := range known {
		if !found[name] {
			t.Errorf("%s does not fail any more", name)
		}
	}
	if t.Failed() || err != nil && len(found) == 0 {
		t.Errorf("%v\n%s", err, text)
	}
}

package integration

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestReaders runs programs that have the go command build packages, and read
// what it built when it has ended: they find the same with larder, an empty
// disk and a warm remote as without.
//
// What all of them load packages with stands for them where whole is not set: gopls
// takes a minute to build.
func TestReaders(t *testing.T) {
	b := newBakery(t, "", []string{"go build ./...", "go list -compiled ./...", export})
	programs := []string{"."}
	if whole {
		programs = append(programs, "golang.org/x/tools/gopls")
	}
	build := exec.CommandContext(t.Context(), "go", append([]string{"build", "-o", b.tools + "/"}, programs...)...)
	build.Dir = filepath.Join("testdata", "readers")
	build.Env = environ()
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the readers: %v\n%s", err, out)
	}

	const (
		load  = "LARDER_STATS=0 $TOOLS/readers ./..."
		check = "LARDER_STATS=0 GOPLSCACHE=$TEMP/gopls $TOOLS/gopls check -severity=hint "
		lint  = "LARDER_STATS=0 GOLANGCI_LINT_CACHE=$TEMP/lint golangci-lint run ./..."
	)
	tests := []struct {
		row
		says string // among other things
	}{
		{row{line: load, usual: true}, "func bakery.example/bread/town.Bread() int"},
		{row{line: load, after: middle, usual: true}, "func bakery.example/bread/town.Bread() int"},
		{row{line: load, after: wrong, usual: true}, "undefined: al"},
		{row{line: check + "oven/oven.go"}, ""},
		{row{line: check + "bread/loaf/loaf_test.go", after: missing}, "undefined: loaf.Bake"},
		{row{line: check + "bread/crust/crust.go", after: finding}, "self-assignment"},
	}
	// It takes too long to build for any run of the tests.
	if _, err := exec.LookPath("golangci-lint"); err == nil {
		tests = append(tests, []struct {
			row
			says string
		}{
			{row{line: lint}, "0 issues"},
			{row{line: lint, after: finding}, "self-assignment"},
		}...)
	}
	for _, test := range tests {
		if !test.usual && !whole {
			continue
		}
		t.Run(test.name(), func(t *testing.T) {
			if stdout := b.test(t, test.row); !strings.Contains(stdout, test.says) {
				t.Errorf("stdout lacks %q:\n%s", test.says, stdout)
			}
		})
	}
}

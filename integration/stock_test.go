package integration

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/larderbuild/larder/integration/harness"
)

// A stock is a cache directory that holds the standard library, compiled once
// for all tests. A local tier has the go command's own format, so a test that is
// not about the standard library begins with a tier that has it.

// stock returns what every program needs, which is what a [chained] module needs.
var stock = sync.OnceValues(func() (string, error) {
	work, err := os.MkdirTemp(filepath.Dir(larder), "empty-")
	if err == nil {
		err = write("main.go", "package main\n\nfunc main() {}\n")(work)
	}
	if err != nil {
		return "", err
	}
	dir := filepath.Join(filepath.Dir(larder), "stock")
	return dir, harness.CompileStock(dir, work, "", []string{"build -o " + filepath.Join(work, "main") + " main.go"})
})

// stocked returns a new cache directory that holds what every program needs.
func stocked(t testing.TB) string {
	t.Helper()
	dir, err := stock()
	if err != nil {
		t.Fatal(err)
	}
	tier := filepath.Join(t.TempDir(), "stocked")
	if err := harness.Lend(tier, dir); err != nil {
		t.Fatal(err)
	}
	return tier
}

// wideStocks are the stocks that wideStock has made, by version and flag.
var wideStocks struct {
	sync.Mutex
	made map[[2]string]func() (string, error)
}

// wideStock returns stocks that hold what the pantry and the bakery need: what go
// build, vet and test compile with the go command of version ("" for the one that
// runs the tests), without flags and with each of flags.
func wideStock(t testing.TB, version string, flags ...string) (stocks []string) {
	t.Helper()
	for _, flag := range append([]string{""}, flags...) {
		key := [2]string{version, flag}
		wideStocks.Lock()
		if wideStocks.made == nil {
			wideStocks.made = make(map[[2]string]func() (string, error))
		}
		if wideStocks.made[key] == nil {
			wideStocks.made[key] = sync.OnceValues(func() (string, error) { return makeWideStock(version, flag) })
		}
		once := wideStocks.made[key]
		wideStocks.Unlock()
		dir, err := once()
		if err != nil {
			t.Fatal(err)
		}
		stocks = append(stocks, dir)
	}
	return stocks
}

// makeWideStock makes one of the stocks that wideStock returns.
func makeWideStock(version, flag string) (string, error) {
	dir := filepath.Join(filepath.Dir(larder), "wide"+version+flag)
	work, err := os.MkdirTemp(filepath.Dir(larder), "wide-")
	if err != nil {
		return "", err
	}
	imports, err := standardImports()
	if err != nil {
		return "", err
	}
	profile, err := os.ReadFile("testdata/bakery/cmd/plain/default.pgo")
	// Each of the modules has a program with a profile, for which all is compiled
	// anew, and one with C.
	for name, text := range map[string]string{
		"go.mod":             "module stock.example\n\ngo 1.24\n",
		"all/all.go":         "package all\n\nimport (\n\t_ \"" + strings.Join(imports, "\"\n\t_ \"") + "\"\n)\n",
		"all/all_test.go":    "package all\n\nimport \"testing\"\n\nfunc Test(*testing.T) {}\n",
		"c/c.go":             "package c\n\nimport \"C\"\n",
		"plain/main.go":      "package main\n\nfunc main() {}\n",
		"plain/default.pgo":  string(profile),
		"program/program.go": "package main\n\nimport (\n\t_ \"stock.example/all\"\n\t_ \"stock.example/c\"\n)\n\nfunc main() {}\n",
	} {
		err = errors.Join(err, write(name, text)(work))
	}
	if err != nil {
		return "", err
	}
	commands := []string{"build ./...", "vet ./...", "test ./..."}
	switch {
	case flag == "-race": // no other command has it
		commands = []string{"test -race ./all"}
	case flag != "":
		commands = []string{"build " + flag + " ./all ./program"}
	case version == "": // other versions measure no coverage
		commands[2] = "test -cover ./..."
	}
	return dir, harness.CompileStock(dir, work, version, commands)
}

// standardImports returns the packages of the standard library that the modules in
// testdata import, other than C.
func standardImports() (imports []string, err error) {
	for _, module := range []string{"pantry", "bakery"} {
		cmd := exec.Command("go", "list", "-f", `{{join .Imports "\n"}}{{"\n"}}{{join .TestImports "\n"}}{{"\n"}}{{join .XTestImports "\n"}}`, "./...")
		cmd.Dir = filepath.Join("testdata", module)
		cmd.Env = environ()
		out, err := cmd.Output()
		if err != nil {
			return nil, fmt.Errorf("list the imports of %s: %w", module, err)
		}
		for _, path := range strings.Fields(string(out)) {
			if !strings.Contains(path, ".") && path != "C" {
				imports = append(imports, path)
			}
		}
	}
	slices.Sort(imports)
	return slices.Compact(imports), nil
}

// write returns what writes a file in a folder.
func write(file, text string) func(dir string) error {
	return func(dir string) error {
		path := filepath.Join(dir, file)
		return errors.Join(os.MkdirAll(filepath.Dir(path), 0o777), os.WriteFile(path, []byte(text), 0o666))
	}
}

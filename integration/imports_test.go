package integration

import (
	"bufio"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// TestImports holds the imports to the table of ARCHITECTURE.md. They run one way: a
// driver can be taken out, and the wire and the stores can be read without the
// rest. What tests import does not count.
func TestImports(t *testing.T) {
	t.Parallel()
	const module = "github.com/larderbuild/larder"
	mayImport := importTable(t, "../ARCHITECTURE.md")
	below := func(path string) string { return strings.TrimPrefix(strings.TrimPrefix(path, module), "/") }
	for _, os := range []string{"linux", "darwin", "windows"} {
		t.Run(os, func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), "go", "list", "-f", `{{.ImportPath}} {{join .Imports " "}}`, module+"/...")
			cmd.Env = environ("GOOS="+os, "CGO_ENABLED=0")
			out, err := cmd.Output()
			if err != nil {
				t.Fatal(err)
			}
			seen := make(map[string]bool)
			for line := range strings.Lines(string(out)) {
				paths := strings.Fields(line)
				pkg := below(paths[0])
				seen[pkg] = true
				allowed, known := mayImport[pkg]
				if !known {
					t.Errorf("%s has no line in the table", paths[0])
				}
				for _, path := range paths[1:] {
					ours := path == module || strings.HasPrefix(path, module+"/")
					if ours && !slices.Contains(allowed, "everything") && !slices.Contains(allowed, below(path)) {
						t.Errorf("%s imports %s", paths[0], path)
					}
				}
			}
			for pkg := range mayImport {
				if !seen[pkg] {
					t.Errorf("the table has a line for %q, which there is not", pkg)
				}
			}
		})
	}
}

// importTable reads the table in file whose first column is "folder" and whose last
// one is "what it may import of ours". It returns the last column by the first:
// paths of packages below the module's, or "everything".
func importTable(t *testing.T, file string) map[string][]string {
	t.Helper()
	page, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer page.Close()
	var table map[string][]string
	for lines := bufio.NewScanner(page); lines.Scan(); {
		cells := strings.Split(strings.Trim(lines.Text(), "| "), "|")
		first, last := strings.TrimSpace(cells[0]), strings.TrimSpace(cells[len(cells)-1])
		switch {
		case table == nil && first == "folder" && last == "what it may import of ours":
			table = make(map[string][]string)
		case table == nil || strings.HasPrefix(first, "---"):
		case !strings.HasPrefix(lines.Text(), "|"):
			return table
		default:
			pkg := strings.TrimSuffix(strings.Trim(first, "`"), "/")
			if pkg == "main.go" {
				pkg = ""
			}
			if _, twice := table[pkg]; twice {
				t.Errorf("%s has two lines for %q", file, pkg)
			}
			table[pkg] = nil
			if last != "nothing" {
				table[pkg] = strings.Split(strings.ReplaceAll(last, "`", ""), ", ")
			}
		}
	}
	t.Fatalf("%s has no table of what each folder may import, or ends with it", file)
	return nil
}

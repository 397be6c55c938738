package integration

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// mayImport says which packages of ours each package may import, by their
// paths below the module's. Imports run one way: a driver can be taken out, and
// the wire and the stores can be read without the rest. No line has backendtest
// or testserver, which are for tests.
var mayImport = map[string][]string{
	"":                    {"cli"},
	"cli":                 {"bench", "cache", "gocmd", "localdisk", "protocol", "secrets", "session", "sign", "backend", "backend/dir", "backend/open"},
	"bench":               {"cache", "backend", "gocmd", "session"},
	"gocmd":               {},
	"cache":               {"localdisk", "pack", "entry", "protocol", "backend", "secrets", "session", "sign"},
	"session":             {"protocol"},
	"localdisk":           {"protocol"},
	"pack":                {"entry", "protocol", "sign"},
	"entry":               {"protocol", "sign"},
	"sign":                {},
	"secrets":             {},
	"protocol":            {},
	"backend":             {},
	"backend/open":        {"backend", "backend/s3", "backend/gcs", "backend/dir"},
	"backend/s3":          {"backend"},
	"backend/gcs":         {"backend"},
	"backend/dir":         {"backend"},
	"backend/backendtest": {"backend"},
	"testserver":          {},
	"integration":         {},
}

func TestImports(t *testing.T) {
	const module = "github.com/larderbuild/larder"
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
					if ours && !slices.Contains(allowed, below(path)) {
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

package integration

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// anotherTree is what two machines have in the same place: a package x that imports a or b,
// and the one that it imports. All names of files, their sizes and times are the same.
type anotherTree struct {
	at     string            // the folder with x, below the machine's
	path   string            // the import path of that folder
	others map[string]string // files besides
	cd     string            // where the go command runs, below the machine's folder
}

// write makes dir the tree of the machine whose x imports the package dep.
func (a anotherTree) write(t *testing.T, dir, dep string, modified time.Time) {
	t.Helper()
	files := map[string]string{
		"x/x.go":                "package x\n\nimport _ \"" + strings.TrimPrefix(a.path+"/"+dep, "/") + "\"\n",
		dep + "/" + dep + ".go": "package " + dep + "\n\nimport _ \"unsafe\"\n",
	}
	err := os.RemoveAll(dir)
	for name, text := range files {
		err = errors.Join(err, writeNew(filepath.Join(dir, a.at, name), text))
	}
	for name, text := range a.others {
		err = errors.Join(err, writeNew(filepath.Join(dir, name), text))
	}
	err = errors.Join(err, filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		return errors.Join(err, os.Chtimes(path, modified, modified))
	}))
	if err != nil {
		t.Fatal(err)
	}
}

func writeNew(path, text string) error {
	return errors.Join(os.MkdirAll(filepath.Dir(path), 0o777), os.WriteFile(path, []byte(text), 0o666))
}

// Where all times are equal, a machine asks for the index of another one's tree by the same
// key. It must not be given that.
func TestIndexOfAnotherTree(t *testing.T) {
	t.Parallel()
	const lib = "module example.com/lib\n\ngo 1.24\n"
	const uses = "module example.com/m\n\ngo 1.24\n\nrequire example.com/lib v1.0.0\n"
	for name, tree := range map[string]anotherTree{
		"the main module": {
			path: "example.com/m", others: map[string]string{"go.mod": "module example.com/m\n\ngo 1.24\n"},
		},
		"a workspace": {
			at: "lib", path: "example.com/lib", others: map[string]string{
				"go.work": "go 1.24\n\nuse (\n\t./lib\n\t./m\n)\n", "lib/go.mod": lib, "m/go.mod": "module example.com/m\n\ngo 1.24\n",
			},
		},
		"a replaced folder": {
			at: "lib", cd: "m", path: "example.com/lib", others: map[string]string{
				"m/go.mod": uses + "\nreplace example.com/lib => ../lib\n", "m/m.go": "package m\n\nimport _ \"example.com/lib/x\"\n", "lib/go.mod": lib,
			},
		},
		"a vendor folder": {
			at: "vendor/example.com/lib", path: "example.com/lib", others: map[string]string{
				"go.mod": uses, "m.go": "package m\n\nimport _ \"example.com/lib/x\"\n",
				"vendor/modules.txt": "# example.com/lib v1.0.0\n## explicit; go 1.24\nexample.com/lib/a\nexample.com/lib/b\nexample.com/lib/x\n",
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, remote := filepath.Join(t.TempDir(), "tree"), directory(t)
			for _, dep := range []string{"a", "b"} {
				tree.write(t, dir, dep, time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC))
				m := newMachine(t, filepath.Join(dir, tree.cd), remote)
				m.must("go", "build", tree.path+"/x")
			}
		})
	}
}

package integration

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/mod/module"
	"golang.org/x/mod/zip"

	"github.com/larderbuild/larder/integration/harness"
	"github.com/larderbuild/larder/protocol"
)

// visitor is a test that builds a module in a temporary folder, as tests of tools do, and a
// package of its own module.
const visitor = `package outer

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

func Test(t *testing.T) {
	dir, err := os.MkdirTemp("", "visitor-")
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"go.mod":  "module example.com/passing\n\ngo 1.24\n\nrequire example.com/lasting v1.0.0\n",
		"main.go": "package main\n\nimport (\n\t\"container/list\"\n\n\t\"example.com/lasting\"\n\t\"example.com/passing/part\"\n)\n\nfunc main() { println(lasting.Name(), part.Name(), list.New().Len()) }\n",
		"part/part.go": "package part\n\nfunc Name() string { return \"part\" }\n",
	} {
		if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for folder, args := range map[string][]string{
		dir: {"build", "-mod=mod", "-gcflags=container/list=-N", "-o", "program", "."},
		".": {"build", "./inner"},
	} {
		cmd := exec.Command("go", args...)
		cmd.Dir = folder
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", args, err, out)
		}
	}
}
`

// TestTransient: of what a test builds in a temporary folder only the packages of GOROOT and
// of the module cache are uploaded, and nothing is published. What it builds of its own
// module belongs to the profile of that.
func TestTransient(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	outer, temp, modules := filepath.Join(dir, "outer"), filepath.Join(dir, "temp"), filepath.Join(dir, "modules")
	for name, text := range map[string]string{
		"outer/go.mod":         "module example.com/outer\n\ngo 1.24\n",
		"outer/outer_test.go":  visitor,
		"outer/inner/inner.go": "package inner\n\nfunc Name() string { return \"inner\" }\n",
		"temp/keep":            "",
	} {
		if err := write(name, text)(dir); err != nil {
			t.Fatal(err)
		}
	}
	remote := t.TempDir()
	m := newMachine(t, outer, "file:///"+strings.TrimPrefix(filepath.ToSlash(remote), "/"), "TMPDIR="+temp, "TMP="+temp, "TEMP="+temp,
		"GOMODCACHE="+modules, "GOPROXY="+proxyOf(t, "example.com/lasting"), "GONOSUMDB=*", "GOFLAGS=-buildvcs=false -modcacherw")
	if err := harness.Lend(m.dir, wideStock(t, "")...); err != nil {
		t.Fatal(err)
	}
	m.must("go", "test", "-count=1", ".")
	m.must(larder, "flush")

	wanted := map[string]bool{
		"example.com/lasting": false,
		"container/list":      false,
		"inner/inner.go":      false,
	}
	for path, body := range bodies(t, filepath.Join(remote, "v1", "main")) {
		isLog := bytes.HasPrefix(body, []byte("# test log")) // of the outer test, which is as usual
		if !isLog && bytes.Contains(body, []byte(temp)) || bytes.HasSuffix(body, []byte("./part.go\n")) {
			t.Errorf("%s is of the module in the temporary folder", path)
		}
		for name := range wanted {
			wanted[name] = wanted[name] || bytes.Contains(body, []byte(name))
		}
	}
	for name, found := range wanted {
		if !found {
			t.Errorf("nothing of %s was uploaded", name)
		}
	}
	published, err := filepath.Glob(filepath.Join(remote, "v1", "main", "m", "*", "*"))
	if err != nil || len(published) != 1 || !strings.Contains(published[0], "outer") {
		t.Errorf("published: %q, %v", published, err)
	}

	// Another machine makes nothing again of what lasts.
	again := *m
	again.dir = filepath.Join(t.TempDir(), "larder")
	again.env = append(slices.Clone(m.env), "LARDER_DIR="+again.dir)
	if err := harness.Lend(again.dir, wideStock(t, "")...); err != nil {
		t.Fatal(err)
	}
	before := len(contents(t, filepath.Join(remote, "v1", "main", "a")))
	again.must("go", "test", "-count=1", ".")
	again.must(larder, "flush")
	if now := len(contents(t, filepath.Join(remote, "v1", "main", "a"))); now != before {
		t.Errorf("%d objects were uploaded by another machine", now-before)
	}
}

// bodies returns the bodies in the entry objects and packs of the scope in folder, by their
// paths.
func bodies(t *testing.T, folder string) map[string][]byte {
	t.Helper()
	found := make(map[string][]byte)
	for _, kind := range []string{"a", "p"} {
		for path := range maps.Keys(contents(t, filepath.Join(folder, kind))) {
			n := 0
			data := readFile(t, path)
			if kind == "p" {
				data = decompress(t, data)
			}
			seeEntries(t, data, kind == "p", make(map[protocol.ActionID]bool), func(body []byte) {
				found[fmt.Sprint(path, " ", n)] = body
				n++
			})
		}
	}
	return found
}

// proxyOf returns the URL of a proxy that has one module, of one package.
func proxyOf(t *testing.T, path string) string {
	t.Helper()
	source, proxy := t.TempDir(), t.TempDir()
	gomod := "module " + path + "\n\ngo 1.24\n"
	name := filepath.Base(path)
	versions := filepath.Join(proxy, filepath.FromSlash(path), "@v")
	for name, text := range map[string]string{
		"go.mod":     gomod,
		name + ".go": "package " + name + "\n\nfunc Name() string { return \"" + name + "\" }\n",
	} {
		if err := write(name, text)(source); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range map[string]string{"list": "v1.0.0\n", "v1.0.0.mod": gomod, "v1.0.0.info": `{"Version":"v1.0.0"}`} {
		if err := write(name, text)(versions); err != nil {
			t.Fatal(err)
		}
	}
	archive, err := os.Create(filepath.Join(versions, "v1.0.0.zip"))
	if err != nil {
		t.Fatal(err)
	}
	defer archive.Close()
	if err := zip.CreateFromDir(archive, module.Version{Path: path, Version: "v1.0.0"}, source); err != nil {
		t.Fatal(err)
	}
	return "file:///" + strings.TrimPrefix(filepath.ToSlash(proxy), "/")
}

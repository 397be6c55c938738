package modindex_test

import (
	"archive/zip"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/larderbuild/larder/modindex"
	"github.com/larderbuild/larder/protocol"
)

// TestIsOfModule has the real go command index a module that has one package: in the module
// cache, and in a folder whose name looks like one there.
func TestIsOfModule(t *testing.T) {
	t.Parallel()
	goroot := run(t, nil, "env", "GOROOT")
	for name, replaced := range map[string]bool{"in the module cache": false, "replaced": true} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			source := "package one\n\nimport _ \"errors\"\n"
			main := "module example.com/main\n\ngo 1.24\n\nrequire example.com/one v1.0.0\n"
			err := errors.Join(
				writeProxy(filepath.Join(dir, "proxy", "example.com", "one", "@v"), source),
				writeFile(filepath.Join(dir, "main", "main.go"), "package main\n\nimport _ \"example.com/one\"\n"))
			if replaced {
				main += "\nreplace example.com/one => ../one@v1.0.0\n"
				err = errors.Join(err,
					writeFile(filepath.Join(dir, "one@v1.0.0", "go.mod"), "module example.com/one\n"),
					writeFile(filepath.Join(dir, "one@v1.0.0", "theonly.go"), source))
			}
			if err := errors.Join(err, writeFile(filepath.Join(dir, "main", "go.mod"), main)); err != nil {
				t.Fatal(err)
			}
			key, index := madeIndex(t, filepath.Join(dir, "gocache"), "theonly.go", []string{
				"GOMODCACHE=" + filepath.Join(dir, "modules"), "GOPROXY=file:///" + strings.TrimPrefix(filepath.ToSlash(dir), "/") + "/proxy",
				"GOFLAGS=-mod=mod -modcacherw", "GONOSUMDB=*", "GOTOOLCHAIN=local", "GOWORK=off",
			}, "-C", filepath.Join(dir, "main"), "list", "-deps", "./...")
			if got := modindex.IsOfModule(goroot, key, index); got != !replaced {
				t.Errorf("%v, want %v", got, !replaced)
			}
			if modindex.IsOfModule(goroot, protocol.ActionID{}, index) {
				t.Error("so it is with another key")
			}
			for _, other := range []string{"", t.TempDir()} {
				if modindex.IsOfModule(other, key, index) {
					t.Errorf("so it is for a go command of %q", other)
				}
			}
		})
	}
}

// writeProxy writes what a module proxy has of example.com/one.
func writeProxy(dir, source string) error {
	const version = "v1.0.0"
	if err := errors.Join(
		writeFile(filepath.Join(dir, "list"), version+"\n"),
		writeFile(filepath.Join(dir, version+".info"), `{"Version":"`+version+`"}`),
		writeFile(filepath.Join(dir, version+".mod"), "module example.com/one\n")); err != nil {
		return err
	}
	f, err := os.Create(filepath.Join(dir, version+".zip"))
	if err != nil {
		return err
	}
	w := zip.NewWriter(f)
	for name, text := range map[string]string{"go.mod": "module example.com/one\n", "theonly.go": source} {
		part, errPart := w.Create("example.com/one@" + version + "/" + name)
		if errPart == nil {
			_, errPart = part.Write([]byte(text))
		}
		err = errors.Join(err, errPart)
	}
	return errors.Join(err, w.Close(), f.Close())
}

package modindex_test

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/larderbuild/larder/localdisk"
	"github.com/larderbuild/larder/modindex"
	"github.com/larderbuild/larder/protocol"
)

var released = time.Date(2020, 2, 3, 4, 5, 6, 0, time.UTC)

const releaseTime = "\ntime 2020-02-03T04:05:06Z\n"

// TestIsOfRelease has the real go command index a part of GOROOT, and then changes it, as
// if it were another machine's.
func TestIsOfRelease(t *testing.T) {
	t.Parallel()
	from, version := run(t, nil, "env", "GOROOT"), run(t, nil, "env", "GOVERSION")
	root := goroot(t, version+releaseTime)
	key, index := indexOf(t, root)
	for name, test := range map[string]struct {
		version string // the file VERSION; "": as it was
		change  func() error
		want    bool
	}{
		"as it was":                    {want: true},
		"all times are others":         {version: version + "\ntime 2020-02-03T04:05:07Z\n"},
		"in the same second":           {version: version + "\ntime 2020-02-03T04:05:06.5Z\n"},
		"no time":                      {version: version},
		"something else than a time":   {version: version + "\ntime today\n"},
		"something else than a line":   {version: version + "\nbuilt 2020-02-03T04:05:06Z\n"},
		"another version":              {version: "go1.1" + releaseTime},
		"VERSION is missing":           {change: func() error { return os.Remove(filepath.Join(root, "VERSION")) }},
		"a file is newer":              {change: func() error { return os.Chtimes(filepath.Join(root, file), time.Time{}, time.Now()) }},
		"a file is larger":             {change: func() error { return writeFile(filepath.Join(root, file), "package errors") }},
		"a file is new":                {change: func() error { return writeFile(filepath.Join(root, folder, "new.go"), "package errors") }},
		"a file is missing":            {change: func() error { return os.Remove(filepath.Join(root, file)) }},
		"a folder is new":              {change: func() error { return os.Mkdir(filepath.Join(root, folder, "new"), 0o777) }, want: true},
		"the folder itself is missing": {change: func() error { return os.RemoveAll(filepath.Join(root, folder)) }},
	} {
		t.Run(name, func(t *testing.T) {
			_ = os.RemoveAll(filepath.Join(root, folder))
			copyFolder(t, filepath.Join(root, folder), filepath.Join(from, folder))
			text := test.version
			if text == "" {
				text = version + releaseTime
			}
			err := writeFile(filepath.Join(root, "VERSION"), text)
			if err == nil && test.change != nil {
				err = test.change()
			}
			if err != nil {
				t.Fatal(err)
			}
			for _, at := range []string{root, ""} {
				if got := modindex.IsOfRelease(at, key, index); got != test.want {
					t.Errorf("in %q: %v, want %v", at, got, test.want)
				}
			}
			if modindex.IsOfRelease(root[:len(root)-1], key, index) {
				t.Error("so it is in another GOROOT")
			}
			if modindex.IsOfRelease(root, protocol.ActionID{}, index) {
				t.Error("so it is with another key")
			}
		})
	}
}

// A file of another time makes its folder none of a release's, even for a machine where it
// has the same time.
func TestChangedFile(t *testing.T) {
	t.Parallel()
	root := goroot(t, run(t, nil, "env", "GOVERSION")+releaseTime)
	later := released.Add(time.Hour)
	if err := os.Chtimes(filepath.Join(root, file), later, later); err != nil {
		t.Fatal(err)
	}
	if key, index := indexOf(t, root); modindex.IsOfRelease(root, key, index) {
		t.Error("its index is taken for a release's")
	}
}

// A damaged index is no release's.
func TestDamagedIndex(t *testing.T) {
	t.Parallel()
	root := goroot(t, run(t, nil, "env", "GOVERSION")+releaseTime)
	key, index := indexOf(t, root)
	path := bytes.Index(index, []byte(filepath.Join(root, folder)))
	for size := range path {
		if modindex.IsOfRelease(root, key, index[:size]) {
			t.Errorf("the first %d bytes are taken for the index", size)
		}
	}
	copy(index[12:], "\xff\xff\xff\xff")
	if modindex.IsOfRelease(root, key, index) {
		t.Error("an index without strings is taken for a whole one")
	}
}

const (
	folder = "src/errors"
	file   = folder + "/errors.go"
)

// goroot returns a GOROOT with no more than the package errors in it, and the packages
// that it needs.
func goroot(t *testing.T, version string) string {
	t.Helper()
	root := t.TempDir()
	from := run(t, nil, "env", "GOROOT")
	for _, path := range strings.Fields(run(t, nil, "list", "-deps", "-f", "{{.Dir}}", "errors")) {
		below, err := filepath.Rel(from, path)
		if err != nil {
			t.Fatal(err)
		}
		copyFolder(t, filepath.Join(root, below), path)
	}
	copyFolder(t, filepath.Join(root, "src"), filepath.Join(from, "src"))
	if err := writeFile(filepath.Join(root, "VERSION"), version); err != nil {
		t.Fatal(err)
	}
	return root
}

// copyFolder copies the files in from to the folder to, and gives them the time of the
// release.
func copyFolder(t *testing.T, to, from string) {
	t.Helper()
	files, err := os.ReadDir(from)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if !f.Type().IsRegular() {
			continue
		}
		content, err := os.ReadFile(filepath.Join(from, f.Name()))
		if err == nil {
			err = writeFile(filepath.Join(to, f.Name()), string(content))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// writeFile writes a file with the time of the release.
func writeFile(path, text string) error {
	return errors.Join(os.MkdirAll(filepath.Dir(path), 0o777), os.WriteFile(path, []byte(text), 0o666), os.Chtimes(path, released, released))
}

// indexOf has the go command load the package errors out of root, and returns the index
// of its folder and the key of that.
func indexOf(t *testing.T, root string) (key protocol.ActionID, index []byte) {
	t.Helper()
	return madeIndex(t, t.TempDir(), filepath.Join(root, folder), []string{"GOROOT=" + root, "GOTOOLCHAIN=local"}, "list", "-deps", "errors")
}

// madeIndex has the go command run with an empty cache in dir, and returns the index of a
// package that it makes and that holds text, with the key of that.
func madeIndex(t *testing.T, dir, text string, env []string, args ...string) (key protocol.ActionID, index []byte) {
	t.Helper()
	run(t, append(env, "GOCACHE="+dir, "GOCACHEPROG="), args...)
	local := localdisk.New(dir)
	actions, err := local.UsedSince(released)
	if err != nil {
		t.Fatal(err)
	}
	for _, action := range actions {
		_, path, err := local.Get(action)
		if err != nil {
			continue
		}
		body, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if modindex.KindOf(body) == modindex.OfPackage && bytes.Contains(body, []byte(text)) {
			return action, body
		}
	}
	t.Fatal("the go command has made no index")
	return key, nil
}

// run runs the go command, outside all modules, and returns what it prints.
func run(t *testing.T, env []string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", args...)
	cmd.Dir = t.TempDir()
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go %s: %v", strings.Join(args, " "), err)
	}
	return strings.TrimSpace(string(out))
}

package cli

import (
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"

	"github.com/larderbuild/larder/gocmd"
)

func TestTransient(t *testing.T) {
	root := realPath(t.TempDir())
	for _, module := range []string{"repo", "repo/tools", "repo/.tmp/made", "temp/repo", "temp/repo/tools", "temp/made", "temp/other/tmp"} {
		dir := filepath.Join(root, filepath.FromSlash(module))
		if err := os.MkdirAll(filepath.Join(dir, "cmd"), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "go.mod"), []byte("module example.com/m\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	name := "TMPDIR"
	if runtime.GOOS == "windows" {
		name = "TMP"
	}
	// The test's folders lie in the temporary folder of this system, so each row names one.
	environ := func(temp string) environment { return environment{name + "=" + filepath.Join(root, temp)} }
	for _, test := range []struct {
		name          string
		temp          string // of the inner go command
		outerTemp     string // of the outer one
		folder, outer string
		want          bool
	}{
		{"a module in the temporary folder", "temp", "temp", "temp/made", "repo", true},
		{"a folder of it", "temp", "temp", "temp/made/cmd", "repo", true},
		{"no module", "temp", "temp", "temp", "repo", true},
		{"the program between them has a temporary folder of its own", "temp/other/tmp", "temp", "temp/made", "repo", true},
		{"the outer module", "temp", "temp", "repo/cmd", "repo", false},
		{"another module of the checkout", "temp", "temp", "repo/tools", "repo", false},
		{"the temporary folder is in the checkout", "repo/.tmp", "repo/.tmp", "repo/.tmp/made", "repo", true},
		{"the checkout is in the temporary folder", "temp", "temp", "temp/repo/cmd", "temp/repo/cmd", false},
		{"another module of that checkout", "temp", "temp", "temp/repo/tools", "temp/repo", false},
		{"the module around the outer one", "temp", "temp", "temp/repo/cmd", "temp/repo/tools", false},
		{"a module beside that checkout", "temp", "temp", "temp/made", "temp/repo", true},
		{"the outer folder is not known", "temp", "temp", "temp/made", "", true},
	} {
		t.Run(test.name, func(t *testing.T) {
			outer := gocmd.Outer{Environ: environ(test.outerTemp)}
			if test.outer != "" {
				outer.Dir = filepath.Join(root, filepath.FromSlash(test.outer))
			}
			got := transient(surroundings{environ(test.temp), filepath.Join(root, filepath.FromSlash(test.folder))}, outer)
			if (got != nil) != test.want {
				t.Errorf("%+v, want transient: %v", got, test.want)
			}
		})
	}

	// What lies in a temporary folder itself lasts no longer than that.
	modules, goroot := filepath.Join(root, "modules"), filepath.Join(root, "temp", "go")
	from := surroundings{append(environ("temp"), "GOMODCACHE="+modules, "GOROOT="+goroot), filepath.Join(root, "temp", "made")}
	got := transient(from, gocmd.Outer{Environ: environ("temp")})
	if got == nil || got.Goroot || got.ModCache != modules || !slices.Contains(got.Folders, filepath.Join(root, "temp")) {
		t.Errorf("%+v", got)
	}
}

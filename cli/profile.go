package cli

import (
	"cmp"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/mod/modfile"

	"github.com/larderbuild/larder/cache"
)

// mainModule returns the name of the module that is built: its path, as the nearest
// go.mod has it. Where a go.work is nearer, or where there is only that of GOWORK, the
// workspace is the module. mainModule returns "" where there is neither.
func mainModule(from surroundings) string {
	workspace := from.environ.get("GOWORK") // the path of a go.work, or off; "": the nearest one
	for dir := from.folder; dir != ""; {
		if content, err := os.ReadFile(filepath.Join(dir, "go.mod")); err == nil {
			return cache.ShortName(modfile.ModulePath(content))
		}
		if workspace == "" {
			if name := workspaceName(filepath.Join(dir, "go.work")); name != "" {
				return name
			}
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			break
		}
		dir = parent
	}
	if filepath.IsAbs(workspace) {
		return workspaceName(workspace)
	}
	return ""
}

// workspaceName returns the name of the workspace of a go.work: the paths of its
// modules, sorted, which are the same on every machine. It returns "" if it can't read
// the file.
func workspaceName(file string) string {
	content, err := os.ReadFile(file)
	if err != nil {
		return ""
	}
	work, err := modfile.ParseWork(file, content, nil)
	if err != nil {
		return ""
	}
	var modules []string
	for _, use := range work.Use {
		dir := filepath.FromSlash(use.Path)
		if !filepath.IsAbs(dir) {
			dir = filepath.Join(filepath.Dir(file), dir)
		}
		if content, err := os.ReadFile(filepath.Join(dir, "go.mod")); err == nil {
			modules = append(modules, modfile.ModulePath(content))
		}
	}
	slices.Sort(modules)
	return cache.ShortName(strings.Join(slices.Compact(modules), " "))
}

// defaultProfile names the platform that is built for and, in CI, the job.
func defaultProfile(environ environment) string {
	platform := cmp.Or(environ.get("GOOS"), runtime.GOOS) + "-" + cmp.Or(environ.get("GOARCH"), runtime.GOARCH)
	return cache.ShortName(strings.Join(append([]string{platform}, ciJobName(environ)...), " "))
}

package cli

import (
	"os"
	"path/filepath"
	"runtime"
	"slices"

	"github.com/larderbuild/larder/cache"
	"github.com/larderbuild/larder/gocmd"
)

// transient returns what a transient session needs to know, or nil if a session in the
// surroundings from, nested in outer, is none. A session is transient if its module lies in
// a temporary folder, unless it is of the same checkout as what outer builds.
func transient(from surroundings, outer gocmd.Outer) *cache.Transient {
	if from.folder == "" {
		return nil
	}
	temps := tempFolders(from.environ, outer.Environ)
	module := realPath(moduleFolder(from.folder))
	if !slices.ContainsFunc(temps, func(temp string) bool {
		return isInside(module, temp) && !isShared(module, outer.Dir, temp)
	}) {
		return nil
	}
	isTemporary := func(path string) bool {
		return slices.ContainsFunc(temps, func(temp string) bool { return isInside(realPath(path), temp) })
	}
	t := &cache.Transient{Folders: append(temps, from.folder)}
	// The go command sets these variables before it starts a helper.
	if goroot := from.environ.get("GOROOT"); goroot != "" {
		t.Goroot = !isTemporary(goroot)
	}
	if modules := from.environ.get("GOMODCACHE"); modules != "" && !isTemporary(modules) {
		t.ModCache = modules
	}
	return t
}

// isShared reports whether module, which lies in temp, is of the same checkout as the module
// that is built in outer: that lies in temp, too, and one of both holds the other.
func isShared(module, outer, temp string) bool {
	if outer == "" {
		return false
	}
	outer = realPath(moduleFolder(outer))
	return isInside(outer, temp) && (isInside(module, outer) || isInside(outer, module))
}

// moduleFolder returns the folder of the module or workspace to which folder belongs, or
// folder itself if it belongs to none.
func moduleFolder(folder string) string {
	for dir := folder; ; dir = filepath.Dir(dir) {
		for _, name := range []string{"go.mod", "go.work"} {
			if info, err := os.Stat(filepath.Join(dir, name)); err == nil && info.Mode().IsRegular() {
				return dir
			}
		}
		if filepath.Dir(dir) == dir {
			return folder
		}
	}
}

// tempFolders returns the temporary folders of this process and of the outer go command,
// each as it is called and by its real path. A program between the two may have given the
// inner one another temporary folder. Where the environment of the outer one is not known,
// the folders count that the system has.
func tempFolders(own, outer environment) []string {
	var folders []string
	add := func(folder string) {
		for _, path := range []string{folder, realPath(folder)} {
			if filepath.IsAbs(path) && !slices.Contains(folders, path) {
				folders = append(folders, path)
			}
		}
	}
	for _, environ := range []environment{own, outer} {
		add(environ.get("GOTMPDIR"))
		if runtime.GOOS == "windows" {
			add(environ.get("TMP"))
			add(environ.get("TEMP"))
			continue
		}
		if temp := environ.get("TMPDIR"); temp != "" {
			add(temp)
			continue
		}
		add("/tmp")
		if runtime.GOOS == "darwin" {
			add("/var/folders")
		}
	}
	return folders
}

// isInside reports whether path is folder or lies in it.
func isInside(path, folder string) bool {
	relative, err := filepath.Rel(folder, path)
	return err == nil && filepath.IsLocal(relative)
}

// realPath returns path without symbolic links, or as it is if it can't be had.
func realPath(path string) string {
	if found, err := filepath.EvalSymlinks(path); err == nil {
		return found
	}
	return path
}

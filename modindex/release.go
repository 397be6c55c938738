package modindex

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// IsOfRelease reports whether index, which has the given key, is that of a folder in
// goroot that is on this machine as a release of Go has it. It lists the folder, and reads
// none of its files. If goroot is "", the index may be that of any GOROOT. Otherwise
// IsOfRelease uses no file outside of goroot, whatever the index names.
func IsOfRelease(goroot string, key [sha256.Size]byte, index []byte) bool {
	root, folder, ok := place(index)
	if !ok || goroot != "" && !strings.HasPrefix(root, filepath.Clean(goroot)+string(filepath.Separator)) {
		return false
	}
	goVersion, released, ok := release(root)
	if !ok {
		return false
	}
	want, ok := keyOf(root, folder, goVersion, released)
	return ok && want == key
}

// place returns the module in GOROOT that index belongs to, and the package's folder, both
// as absolute paths. An index has the folder's path below the module's, and the paths of
// files.
func place(index []byte) (root, folder string, ok bool) {
	var below string
	for s := range stringsOf(index) {
		switch {
		case s == "":
		case below == "":
			below = string(filepath.Separator) + s
		case filepath.IsAbs(s) && strings.HasSuffix(filepath.Dir(s), below):
			folder = filepath.Dir(s)
			return strings.TrimSuffix(folder, below), folder, true
		}
	}
	return "", "", false
}

// release returns the version and the time of the release of Go whose source has the
// module root, which is std or cmd.
func release(root string) (version string, released time.Time, ok bool) {
	if filepath.Base(root) == "cmd" {
		root = filepath.Dir(root)
	}
	if filepath.Base(root) != "src" {
		return "", time.Time{}, false
	}
	version, rest := readVersion(filepath.Dir(root))
	line, _, _ := strings.Cut(rest, "\n")
	stamp, ok := strings.CutPrefix(line, "time ")
	if !ok {
		return "", time.Time{}, false
	}
	released, err := time.Parse(time.RFC3339, stamp)
	return version, released, err == nil
}

// readVersion returns the first line of goroot's file VERSION, which is the version of Go,
// and the rest of the file. Both are empty if there is no such file.
func readVersion(goroot string) (version, rest string) {
	content, _ := os.ReadFile(filepath.Join(goroot, "VERSION"))
	version, rest, _ = strings.Cut(string(content), "\n")
	return version, rest
}

// keyOf returns the key of the index of folder, as dirHash in Go's
// cmd/go/internal/modindex computes it. ok is false if there is no such index, or if a
// file has another time than released.
func keyOf(root, folder, goVersion string, released time.Time) (key [sha256.Size]byte, ok bool) {
	files, err := os.ReadDir(folder)
	if err != nil {
		return key, false
	}
	h := sha256.New()
	_, _ = fmt.Fprintf(h, "%smodroot %s\npackage %s %s %v\n", goVersion, root, goVersion, version, folder)
	for _, file := range files {
		if file.IsDir() {
			continue
		}
		info, err := file.Info()
		if err != nil || info.Mode()&fs.ModeType != 0 || !info.ModTime().Equal(released) {
			return key, false
		}
		_, _ = fmt.Fprintf(h, "file %v %v %v\n", info.Name(), info.ModTime(), info.Size())
	}
	return [sha256.Size]byte(h.Sum(nil)), true
}

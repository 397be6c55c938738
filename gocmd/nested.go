package gocmd

import (
	"os"
	"path/filepath"
	"strings"
)

// maxAncestors is how many ancestors Nested looks at.
const maxAncestors = 100

// Outer is a go command from which another one descends.
type Outer struct {
	Dir     string   // where it runs, after any -C; "": unknown
	Environ []string // its environment, as os.Environ returns it; nil: unknown
}

// Nested reports whether the go command that started this process as its helper descends
// from another go command that has the same program as its helper: a test, a generator or a
// program under go run has started it, and may read all that it prints. Nested returns the
// outermost of them, which is the one that a person has started. It returns false where the
// system does not tell. It reads a few files of /proc for each ancestor, or asks the kernel.
// Call it after the handshake, while the go command is there.
func Nested() (outer Outer, ok bool) {
	self, err := executable(os.Executable())
	if err != nil {
		return Outer{}, false
	}
	ancestor := process(os.Getppid())
	for range maxAncestors {
		if ancestor, err = ancestor.parent(); err != nil || ancestor <= 0 {
			break
		}
		if exe, err := ancestor.exe(); err == nil && isGo(exe) && hasChild(ancestor, self) {
			outer.Dir, _ = ancestor.dir()         // "" where it can't be read
			outer.Environ, _ = ancestor.environ() // nil where it can't be read
			ok = true
		}
	}
	return outer, ok
}

// isGo reports whether exe is the path of a go command.
func isGo(exe string) bool {
	return strings.TrimSuffix(strings.ToLower(filepath.Base(exe)), ".exe") == "go"
}

// hasChild reports whether a child of p runs the program exe.
func hasChild(p process, exe os.FileInfo) bool {
	for _, child := range p.children() {
		if other, err := executable(child.exe()); err == nil && os.SameFile(exe, other) {
			return true
		}
	}
	return false
}

// executable returns what is known of the file at path, unless there is an error already.
func executable(path string, err error) (os.FileInfo, error) {
	if err != nil {
		return nil, err
	}
	return os.Stat(path)
}

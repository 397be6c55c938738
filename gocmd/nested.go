package gocmd

import (
	"context"
	"os"
	"path/filepath"
	"strings"

	"github.com/shirou/gopsutil/v4/common"
	"github.com/shirou/gopsutil/v4/process"
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
	ctx := ofThisSystem()
	pid := int32(os.Getppid())
	for range maxAncestors {
		child := process.Process{Pid: pid}
		if pid, err = child.PpidWithContext(ctx); err != nil || pid <= 0 {
			break
		}
		ancestor := process.Process{Pid: pid}
		if exe, err := ancestor.ExeWithContext(ctx); err == nil && isGo(exe) && hasChild(ctx, &ancestor, self) {
			outer.Dir, _ = ancestor.CwdWithContext(ctx)         // "" where it can't be read
			outer.Environ, _ = ancestor.EnvironWithContext(ctx) // nil where it can't be read
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
func hasChild(ctx context.Context, p *process.Process, exe os.FileInfo) bool {
	children, _ := p.ChildrenWithContext(ctx) // those that could be found
	for _, child := range children {
		if other, err := executable(child.ExeWithContext(ctx)); err == nil && os.SameFile(exe, other) {
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

// ofThisSystem returns a context in which processes are those of this system, even if
// HOST_PROC says that /proc is elsewhere.
func ofThisSystem() context.Context {
	return context.WithValue(context.Background(), common.EnvKey, common.EnvMap{common.HostProcEnvKey: "/proc"})
}

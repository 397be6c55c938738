package harness

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// Processes returns the processes that run one of programs with dir as LARDER_DIR, by
// their environment.
func Processes(dir string, programs ...string) (pids []int, err error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		exe, _ := os.Readlink(filepath.Join("/proc", e.Name(), "exe"))
		env, _ := os.ReadFile(filepath.Join("/proc", e.Name(), "environ"))
		if slices.Contains(programs, exe) && strings.Contains(string(env), "LARDER_DIR="+dir+"\x00") {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}

// MountTmpfs mounts a file system in memory at dir. Its options are those of mount(8),
// and ",ro" may end them. Unmounting is up to the caller.
func MountTmpfs(dir, options string) error {
	flags := uintptr(0)
	if rest, ro := strings.CutSuffix(options, ",ro"); ro {
		flags, options = syscall.MS_RDONLY, rest
	}
	return syscall.Mount("tmpfs", dir, "tmpfs", flags, options)
}

// Unmount ends what MountTmpfs has begun. What is open stays open.
func Unmount(dir string) error { return syscall.Unmount(dir, syscall.MNT_DETACH) }

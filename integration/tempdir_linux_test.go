package integration

import (
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

const (
	shm       = "/dev/shm"
	leastRoom = 4 << 30 // bytes; the tests need less than 1 GiB at once
)

// inMemory has temporary folders lie in memory, if the user has not said where they are to be and
// there is room: on a disk, the tests would spend a third of their time on making and removing
// files. The caller calls remove at the end.
func inMemory() (remove func()) {
	var fs unix.Statfs_t
	if os.Getenv("TMPDIR") != "" || unix.Statfs(shm, &fs) != nil ||
		fs.Flags&unix.ST_NOEXEC != 0 || fs.Bavail*uint64(fs.Bsize) < leastRoom {
		return func() {}
	}
	// What tests that were killed have left there would stay until the machine goes down.
	left, _ := filepath.Glob(filepath.Join(shm, "larder-memory-*"))
	for _, folder := range left {
		if info, err := os.Stat(folder); err == nil && time.Since(info.ModTime()) > 2*time.Hour {
			os.RemoveAll(folder)
		}
	}
	// No credential of a test server may stand in the path, or all that names it is a secret.
	folder, err := os.MkdirTemp(shm, "larder-memory-")
	if err != nil {
		return func() {}
	}
	os.Setenv("TMPDIR", folder)
	return func() { os.RemoveAll(folder) }
}

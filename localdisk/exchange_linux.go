package localdisk

import "golang.org/x/sys/unix"

// exchange renames temp to path. What path named before, temp may name then: a file
// that is renamed over another one ext4 writes to the disk at once, and a build that
// waits for some hundred archives has better use for the disk.
func exchange(temp, path string) error {
	if unix.Renameat2(unix.AT_FDCWD, temp, unix.AT_FDCWD, path, unix.RENAME_EXCHANGE) != nil {
		return replace(temp, path, nil) // path is new, or the file system can't
	}
	return nil
}

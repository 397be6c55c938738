package localdisk

import "golang.org/x/sys/unix"

// exchange renames temp to path. Afterwards temp may name what path named before. A
// plain rename over a file makes ext4 write the new file to the disk at once, and a
// build that waits for hundreds of archives must not wait for that.
func exchange(temp, path string) error {
	if unix.Renameat2(unix.AT_FDCWD, temp, unix.AT_FDCWD, path, unix.RENAME_EXCHANGE) != nil {
		return replace(temp, path, nil) // path is new, or the file system can't
	}
	return nil
}

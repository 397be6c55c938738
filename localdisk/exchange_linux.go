package localdisk

import "golang.org/x/sys/unix"

// exchange renames temp to path. Afterwards temp may be the name of the file that path
// named before, which the caller removes. If a file replaces another one, ext4 writes it
// to the disk at once. An exchange avoids that: a build may wait for some hundred
// archives.
func exchange(temp, path string) error {
	if unix.Renameat2(unix.AT_FDCWD, temp, unix.AT_FDCWD, path, unix.RENAME_EXCHANGE) != nil {
		return replace(temp, path, nil) // path is new, or the file system can't
	}
	return nil
}

//go:build unix

package localdisk

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// CheckPrivate reports why the directory at path must not be trusted with what
// is compiled, linked and run: somebody other than the effective user and root
// owns it or can write it. The error is one line, which also says what helps. A
// directory that does not exist is fine. Of a link, it is the target that counts.
//
// It looks at the directory alone, and at its mode: neither at those above it,
// nor at the files in it, nor at access control lists. Whoever is about to create
// the directory does that first and asks afterwards: others may be quicker.
func CheckPrivate(path string) error {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return fmt.Errorf("stat %s: the owner is missing", path)
	}
	if flaw := sharing(info.Mode(), stat.Uid, stat.Gid, uint32(os.Geteuid())); flaw != "" {
		return fmt.Errorf("%s %s, or set LARDER_DIR to another folder", path, flaw)
	}
	return nil
}

// sharing says who else than user and root can change a directory of that mode,
// owner and group, and how to end it. It is "" where nobody can.
//
// A group that has the number of its user is taken for that user's alone, as
// most systems make one for each, often with a umask that lets it write; root's
// is taken for root's.
func sharing(mode fs.FileMode, owner, group, user uint32) string {
	const groupWrite, otherWrite = 0o020, 0o002
	switch {
	case owner != 0 && owner != user:
		return fmt.Sprintf("belongs to uid %d, who could change what is built here as uid %d: chown it", owner, user)
	case mode&otherWrite != 0:
		return fmt.Sprintf("has mode %04o, so that every user could change what is built: chmod go-w it", mode.Perm())
	case mode&groupWrite != 0 && group != owner && group != user:
		return fmt.Sprintf("has mode %04o, so that all of group %d could change what is built: chmod g-w it", mode.Perm(), group)
	}
	return ""
}

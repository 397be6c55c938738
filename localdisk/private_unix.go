//go:build unix

package localdisk

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// CheckPrivate returns an error if a user other than the effective user and root
// owns the directory at path or can write to it. Then that user could change what
// this user compiles, links and runs. The error is one line, and also says what
// helps. A directory that does not exist is no error. If path is a link, its target
// is checked.
//
// CheckPrivate checks only the directory's owner, group and mode. It does not check
// the directories above it, the files in it, or access control lists. A caller that
// wants to create the directory creates it first and then calls CheckPrivate, because
// another user may create it between the two.
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

// sharing says who, other than user and root, can write to a directory with that
// mode, owner and group, and how to prevent it. It returns "" if nobody can.
//
// It assumes that a group with a user's number has only that user as a member: most
// systems make such a group for each user, and often a umask that lets it write.
// The same goes for root's group.
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

//go:build unix

package localdisk

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// CheckPrivate returns an error if the directory at path must not be trusted with what
// is compiled, linked and run: somebody other than the effective user and root owns it
// or can write to it. The error is one line, which also says what helps. A directory
// that does not exist is fine. If path is a symbolic link, CheckPrivate looks at its
// target.
//
// CheckPrivate looks only at the owner and the mode of that directory: not at the
// directories above it, not at the files in it, and not at access control lists. A
// caller that is about to create the directory creates it first and then calls
// CheckPrivate, since somebody else may create it in between.
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

// sharing says who else than user and root can change a directory with that mode, owner
// and group, and how to end that. It returns "" if nobody else can.
//
// If a group has the same number as the owner or as user, sharing takes it for a group
// of that user alone: most systems make one for each user, often with a umask that lets
// the group write. It takes root's group for root's alone, too.
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

// OpenOwn returns a directory in parent that is this user's alone, also if others can
// write to parent. It is called larder-<uid>. If somebody else has that name it is the
// first of larder-<uid>-* that is this user's. With make OpenOwn makes it if there is
// none; otherwise the error wraps fs.ErrNotExist.
//
// Only the user can write to it, and OpenOwn does not follow a symbolic link. The owner
// of parent can rename it, and so can everybody who can write to parent if that has no
// sticky bit. Get, Put and Link notice this, unless it happens after they have returned.
func OpenOwn(parent string, make bool) (*Dir, error) {
	name := fmt.Sprintf("larder-%d", os.Geteuid())
	d, err := openPlace(filepath.Join(parent, name))
	if errors.Is(err, fs.ErrNotExist) && make {
		if err := os.Mkdir(filepath.Join(parent, name), 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, err
		}
		d, err = openPlace(filepath.Join(parent, name))
	}
	if !errors.Is(err, errNotOwn) {
		return d, err
	}
	others, err := os.ReadDir(parent)
	if err != nil {
		return nil, err
	}
	for _, other := range others {
		if strings.HasPrefix(other.Name(), name+"-") {
			if d, err := openPlace(filepath.Join(parent, other.Name())); err == nil {
				return d, nil
			}
		}
	}
	if !make {
		return nil, fmt.Errorf("%s: no folder of uid %d: %w", parent, os.Geteuid(), fs.ErrNotExist)
	}
	path, err := os.MkdirTemp(parent, name+"-")
	if err != nil {
		return nil, err
	}
	return openPlace(path)
}

// errNotOwn says that a file is not a directory of this user alone.
var errNotOwn = errors.New("not a folder of this user alone")

// checkOwn returns what the directory at path is. The error wraps errNotOwn if others
// can write to it, or if it is no directory.
func checkOwn(path string) (fs.FileInfo, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return nil, err
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok || !info.IsDir() || stat.Uid != uint32(os.Geteuid()) || info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("%s: %w", path, errNotOwn)
	}
	return info, nil
}

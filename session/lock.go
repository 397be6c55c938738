package session

import (
	"os"
	"path/filepath"

	"github.com/gofrs/flock"
)

// lock is a file that this process has locked, or only opened where the file system has
// no locks. A nil lock stands for a file that could not be opened.
type lock struct{ file *flock.Flock }

// tryLock locks the file at path, which it opens with flags. held says that another
// process has locked it. Where locks are missing (see [filelock.Missing]), the lock counts
// as ours.
func tryLock(path string, flags int) (l *lock, held bool, err error) {
	file := flock.New(path, flock.SetFlag(flags), flock.SetPermissions(0o600))
	locked, err := file.TryLock()
	if locked || err != nil {
		return &lock{file}, false, err
	}
	return nil, true, file.Close()
}

// Close gives the lock up.
func (l *lock) Close() {
	if l != nil {
		l.file.Close()
	}
}

// LockScope keeps other processes off what sessions have left to do for the remote and
// scope of target. ok is false if another process is at it. Where the file system has no
// locks, each process is for itself: work may be done twice, which does no harm.
func LockScope(local string, target Target) (unlock func(), ok bool) {
	folder := leftDir(local)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return func() {}, true // who reads what is left says why it can't
	}
	path := filepath.Join(folder, target.scopeID()+lockSuffix)
	l, held, _ := tryLock(path, os.O_CREATE|os.O_RDWR) // an error means that there are no locks
	return l.Close, !held
}

// lockSuffix ends the names of the files that LockScope locks.
const lockSuffix = ".lock"

package dir

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/gofrs/flock"

	"github.com/larderbuild/larder/filelock"
)

// lock waits until no other call, in this process or another, replaces or removes
// objects, and keeps others from it until the caller calls unlock.
func (s *store) lock(ctx context.Context) (unlock func(), err error) {
	select {
	case s.busy <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	lock, err := s.tryLock(ctx, 0)
	if errors.Is(err, fs.ErrNotExist) { // nobody has locked it so far
		if file, err := s.create(s.lockPath()); err == nil {
			file.Close()
		}
		lock, err = s.tryLock(ctx, os.O_CREATE)
	}
	if err != nil {
		<-s.busy
		return nil, err
	}
	return func() {
		lock.Close()
		<-s.busy
	}, nil
}

func (s *store) lockPath() string { return filepath.Join(s.root, lockName) }

// tryLock locks the file of locks, which it opens with flags, as soon as no other process
// has locked it. Where the file system has no locks, calls of other processes are not kept
// off, and the last writer wins.
func (s *store) tryLock(ctx context.Context, flags int) (*flock.Flock, error) {
	lock := flock.New(s.lockPath(), flock.SetPermissions(0o666), flock.SetFlag(os.O_RDONLY|flags|nonblock))
	if _, err := lock.TryLockContext(ctx, lockRetry); err != nil && !filelock.Missing(err) {
		lock.Close()
		return nil, err
	}
	return lock, nil
}

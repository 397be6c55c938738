package dir

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/gofrs/flock"
)

// lock waits until no other call, in this process or another, replaces or removes
// objects, and keeps others from it until the caller calls unlock.
func (s *store) lock(ctx context.Context) (unlock func(), err error) {
	select {
	case s.busy <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	path := filepath.Join(s.root, lockName)
	if file, err := s.create(path); err == nil {
		file.Close()
	}
	lock := flock.New(path, flock.SetPermissions(0o666), flock.SetFlag(os.O_RDONLY|os.O_CREATE|nonblock))
	if _, err := lock.TryLockContext(ctx, lockRetry); err != nil && !withoutLocks(err) {
		lock.Close()
		<-s.busy
		return nil, err
	}
	return func() {
		lock.Close()
		<-s.busy
	}, nil
}

// withoutLocks reports whether err says that the file could be opened, and not locked. Then
// calls of other processes are not kept off, and the last writer wins.
func withoutLocks(err error) bool {
	var opening *fs.PathError
	var locking syscall.Errno
	return errors.As(err, &locking) && !errors.As(err, &opening)
}

package dir

import (
	"context"
	"crypto/md5"
	"crypto/rand"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/robustio"

	"github.com/larderbuild/larder/backend"
)

// abandoned is the age at which a temporary file belongs to a writer that is gone. One
// that still writes renews the time of its file.
const abandoned = 24 * time.Hour

// sweep removes from dir the temporary files of writers that are gone. It looks once into
// each folder.
func (s *store) sweep(dir string) {
	if _, again := s.swept.LoadOrStore(dir, true); again {
		return
	}
	entries, _ := os.ReadDir(dir) // a later process may find more
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), tempPrefix) {
			continue
		}
		if info, err := e.Info(); err == nil && time.Since(info.ModTime()) > abandoned {
			os.Remove(filepath.Join(dir, e.Name()))
		}
	}
}

// write writes body to a new file in dir and returns its name.
func (s *store) write(dir string, body io.Reader, opts backend.PutOptions) (name string, err error) {
	name = filepath.Join(dir, tempPrefix+rand.Text())
	file, err := s.createIn(dir, name)
	if err != nil {
		return "", err
	}
	defer func() {
		if err != nil {
			os.Remove(name)
		}
	}()
	hash := md5.New()
	n, err := io.Copy(io.MultiWriter(file, hash), body)
	if closeErr := file.Close(); err == nil {
		err = closeErr
	}
	if err == nil && (n != opts.Size || [md5.Size]byte(hash.Sum(nil)) != opts.MD5) {
		err = backend.ErrDigest
	}
	return name, err
}

// publish gives the file temp the name path, if cond allows it.
func (s *store) publish(ctx context.Context, temp, path string, cond backend.Condition) (fs.FileInfo, error) {
	unlock, err := s.lock(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()

	old, err := os.Stat(path)
	exists := err == nil && old.Mode().IsRegular()
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if cond.Absent && exists ||
		cond.Version != "" && (!exists || object("", old).Version != cond.Version) {
		return nil, backend.ErrConflict
	}

	if !exists {
		old = nil
	}
	info, err := stamp(temp, old)
	if err != nil {
		return nil, err
	}
	return info, rename(temp, path)
}

// stamp gives the file temp, which was just written, a modification time that differs from
// that of old, unless old is nil.
//
// The time that the system sets has steps of a few milliseconds. The time that we set has
// finer steps. If the file system still gives the file the time of old, we set a later one.
func stamp(temp string, old fs.FileInfo) (fs.FileInfo, error) {
	info, err := os.Lstat(temp)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	if skew := info.ModTime().Sub(now); skew.Abs() > time.Minute {
		now = now.Add(skew) // the clock of the file system counts, not that of this machine
	}
	for step := time.Nanosecond; step < time.Minute; step *= 10 {
		if err := os.Chtimes(temp, now, now); err != nil {
			return nil, err
		}
		if info, err = os.Lstat(temp); err != nil {
			return nil, err
		}
		if old == nil || !info.ModTime().Equal(old.ModTime()) {
			break
		}
		now = old.ModTime().Add(step)
	}
	return info, nil
}

// rename gives the file temp the name path. Windows does not replace a file that somebody
// reads. That passes, so it is a fault, and no denial.
func rename(temp, path string) error {
	err := robustio.Rename(temp, path)
	if robustio.IsEphemeralError(err) {
		return errors.New(err.Error())
	}
	return err
}

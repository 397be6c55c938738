// Package dir stores objects as files of a directory. The directory may be on a
// network file system, and processes and machines may share it.
//
// The object under key a/b is the file a/b. Each part of the key is escaped as in
// a URL's query, so every key is a legal file name on every system. An escaped
// name never begins with @. The driver's own files do: a process holds the lock of
// @lock while it replaces or removes an object, and @new-… is an object while it
// is being written. Where the file system has no locks, the last writer wins. A Put or a
// Delete removes what killed writers left in its folder a day ago, and a Delete the folders
// that are empty after it. A key can't be an object if it is also the beginning of another
// one (a and a/b). Two keys that differ only in case may be the same object.
//
// The root says who may use the store: directories and files that the driver makes get its
// permissions, whatever the umask is. So users share a root that all of them may write.
//
// An object's version is the size and the modification time of its file. A Put
// makes sure that the time differs from that of the object that it replaces. It is the time
// of the file system, so on a network that of the server. How old an object is says the clock
// of the machine that lists it.
//
// A file system may block for ever, such as a network mount whose server is gone. So the
// store waits for no call into it when the context of the call is done; see
// [backend.Abandonable]. What is no regular file, such as a FIFO, is no object.
package dir

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/larderbuild/larder/backend"
)

const (
	lockName   = "@lock"
	tempPrefix = "@new-"

	// lockRetry is the time between two attempts to get a lock that another
	// process holds. A process holds the lock for microseconds.
	lockRetry = time.Millisecond

	// calls is how many calls into the file system are under way at most. Where it
	// blocks, that is how many threads it keeps.
	calls = 64
)

// Traits are those of all stores of this package.
func (Config) Traits() backend.Traits {
	return backend.Traits{Ownerless: true}
}

// Open returns the store in cfg.Dir. The first Put creates the directory. Open
// itself does not use the file system. Close does nothing.
func Open(_ context.Context, cfg Config) (backend.Store, error) {
	return backend.Abandonable(newStore(cfg.Dir), calls), nil
}

func newStore(root string) *store { return &store{root: root, busy: make(chan struct{}, 1)} }

type store struct {
	root string
	busy chan struct{} // has an element while a call of this process has the lock or waits for it

	swept sync.Map // folders that this process has swept
}

// path returns the file of key.
func (s *store) path(key string) (string, error) {
	if err := backend.CheckKey(key); err != nil {
		return "", err
	}
	parts := strings.Split(key, "/")
	for i, part := range parts {
		parts[i] = url.QueryEscape(part)
	}
	name := filepath.Join(parts...)
	if !filepath.IsLocal(name) {
		return "", errors.New("not a key: the name is reserved on this system")
	}
	return filepath.Join(s.root, name), nil
}

// wrap is backend.Wrap for an error of the file system.
func wrap(ctx context.Context, op, key string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
		err = fmt.Errorf("%w: %w", backend.ErrNotFound, err)
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS), errors.Is(err, syscall.ELOOP):
		err = fmt.Errorf("%w: %w", backend.ErrDenied, err)
	}
	return backend.Wrap(ctx, op, key, err)
}

func object(key string, info fs.FileInfo) backend.Object {
	return backend.Object{
		Key:     key,
		Size:    info.Size(),
		Version: fmt.Sprintf("%d-%d", info.Size(), info.ModTime().UnixNano()),
	}
}

func (*store) Traits() backend.Traits { return Config{}.Traits() }

func (s *store) Get(ctx context.Context, key string, r backend.Range) (io.ReadCloser, backend.Object, error) {
	file, info, err := s.open(ctx, key)
	if err != nil {
		return nil, backend.Object{}, wrap(ctx, "get", key, err)
	}
	length := info.Size() - r.Offset
	if r.Length > 0 {
		length = min(length, r.Length)
	}
	part := struct {
		io.Reader
		io.Closer
	}{io.NewSectionReader(file, r.Offset, max(0, length)), file}
	return backend.NewBody(ctx, key, part), object(key, info), nil
}

func (s *store) open(ctx context.Context, key string) (*os.File, fs.FileInfo, error) {
	path, err := s.path(key)
	if err != nil {
		return nil, nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	file, err := os.OpenFile(path, os.O_RDONLY|nonblock, 0)
	if err != nil {
		return nil, nil, err
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fs.ErrNotExist
	}
	if err != nil {
		file.Close()
		return nil, nil, err
	}
	return file, info, nil
}

func (s *store) Put(ctx context.Context, key string, body io.ReadSeeker, opts backend.PutOptions) (backend.Object, error) {
	info, err := s.put(ctx, key, body, opts)
	switch {
	case err == nil:
		return object(key, info), nil
	case s.lacksRoot(err):
		// Like a bucket that does not exist: trying again does not help.
		err = fmt.Errorf("%w: %s is not a directory", backend.ErrDenied, s.root)
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
		// Another process removes directories, or a part of key is an object. Neither
		// means that an object is missing, so the error must not be ErrNotFound.
	default:
		return backend.Object{}, wrap(ctx, "put", key, err)
	}
	return backend.Object{}, backend.Wrap(ctx, "put", key, err)
}

// lacksRoot reports whether the error of a Put comes from a root that is no directory and
// can't be made, such as a file or a link to nowhere.
func (s *store) lacksRoot(err error) bool {
	for _, cause := range []error{fs.ErrNotExist, fs.ErrExist, syscall.ENOTDIR} {
		if errors.Is(err, cause) {
			return os.MkdirAll(s.root, 0o777) != nil
		}
	}
	return false
}

func (s *store) put(ctx context.Context, key string, body io.ReadSeeker, opts backend.PutOptions) (fs.FileInfo, error) {
	path, err := s.path(key)
	if err != nil {
		return nil, err
	}
	temp, err := s.write(filepath.Dir(path), body, opts)
	if err != nil {
		return nil, err
	}
	info, err := s.publish(ctx, temp, path, opts.If)
	if err != nil {
		os.Remove(temp)
	}
	s.sweep(filepath.Dir(path))
	return info, err
}

func (s *store) Delete(ctx context.Context, key, version string) error {
	err := s.remove(ctx, key, version)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return nil
	}
	return wrap(ctx, "delete", key, err)
}

// remove removes the object under key, and the directories that are empty without it.
func (s *store) remove(ctx context.Context, key, version string) error {
	path, err := s.path(key)
	if err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	info, err := os.Lstat(path)
	if err != nil || info.IsDir() {
		return err
	}
	unlock, err := s.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	if version != "" {
		if info, err = os.Lstat(path); err != nil {
			return err
		}
		if object(key, info).Version != version {
			return backend.ErrConflict
		}
	}
	if err := os.Remove(path); err != nil {
		return err
	}
	dir := filepath.Dir(path)
	s.sweep(dir)
	for dir != s.root && os.Remove(dir) == nil {
		dir = filepath.Dir(dir)
	}
	return nil
}

func (s *store) List(ctx context.Context, prefix string) iter.Seq2[backend.Object, error] {
	return func(yield func(backend.Object, error) bool) {
		err := filepath.WalkDir(s.root, func(path string, entry fs.DirEntry, err error) error {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if errors.Is(err, fs.ErrNotExist) {
				return nil // removed after its directory was read
			}
			if err != nil {
				return err
			}
			return s.visit(path, entry, prefix, yield)
		})
		if err != nil {
			yield(backend.Object{}, wrap(ctx, "list", prefix, err))
		}
	}
}

// visit yields the object in the file at path if its key begins with prefix. It
// skips a directory if no key in it begins with prefix.
func (s *store) visit(path string, entry fs.DirEntry, prefix string, yield func(backend.Object, error) bool) error {
	name, err := filepath.Rel(s.root, path)
	if err != nil || name == "." {
		return err
	}
	key, ok := keyOf(name)
	if !ok {
		return nil // one of the driver's own files, or a file of somebody else
	}
	if entry.IsDir() {
		if !strings.HasPrefix(key+"/", prefix) && !strings.HasPrefix(prefix, key+"/") {
			return fs.SkipDir
		}
		return nil
	}
	if !entry.Type().IsRegular() || !strings.HasPrefix(key, prefix) {
		return nil
	}
	info, err := entry.Info()
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	obj := object(key, info)
	obj.Written, obj.Listed = info.ModTime(), time.Now()
	if !yield(obj, nil) {
		return fs.SkipAll
	}
	return nil
}

// keyOf returns the key of the object in the file called name, and false if the file
// is no object.
func keyOf(name string) (string, bool) {
	key, err := url.QueryUnescape(filepath.ToSlash(name))
	return key, err == nil && !strings.HasPrefix(filepath.Base(name), "@")
}

func (s *store) Close() error { return nil }

package tier

import (
	"context"
	"crypto/md5"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/larderbuild/larder/backend"
)

func (t *Store) Put(ctx context.Context, key string, body io.ReadSeeker, opts backend.PutOptions) (backend.Object, error) {
	if t.ReadOnly {
		return backend.Object{}, backend.Wrap(ctx, "put", key, backend.ErrReadOnly)
	}
	upload, err := backend.NewUpload(ctx, body, opts.Size)
	if err != nil {
		return backend.Object{}, backend.Wrap(ctx, "put", key, err)
	}
	defer upload.Release()
	o, err := t.stage(key, upload, opts)
	past := t.bypasses(err)
	if err != nil && !past {
		return backend.Object{}, backend.Wrap(ctx, "put", key, err)
	}
	done, turnErr := t.turn(ctx, key)
	if turnErr != nil {
		t.discard(o)
		return backend.Object{}, backend.Wrap(ctx, "put", key, turnErr)
	}
	defer done()
	if past {
		if _, err := upload.Seek(0, io.SeekStart); err != nil {
			return backend.Object{}, backend.Wrap(ctx, "put", key, err)
		}
		return t.putThrough(ctx, key, upload, opts)
	}
	if opts.If == (backend.Condition{}) && t.hasRoomFor(o) {
		if err = t.putLater(o); err == nil {
			return o.object(), nil
		}
		t.Log.Error("the tier can't be written, so an object is stored at once", "err", err)
	}
	return t.putNow(ctx, o, opts)
}

// stage writes the body of a Put to the file of a new object.
func (t *Store) stage(key string, body io.Reader, opts backend.PutOptions) (*object, error) {
	if opts.Size > t.MaxSize {
		return nil, errTooLarge
	}
	file, err := t.newFile()
	if err != nil {
		return nil, err
	}
	o := &object{facts: newFacts(key, opts.Size), path: file.Name(), used: time.Now()}
	sum := md5.New()
	_, err = io.Copy(io.MultiWriter(diskWriter{file}, sum), body)
	if err = errors.Join(err, ofDisk(file.Close())); err == nil && [md5.Size]byte(sum.Sum(nil)) != opts.MD5 {
		err = backend.ErrDigest
	}
	if err != nil {
		t.discard(o)
		return nil, err
	}
	o.MD5 = opts.MD5
	o.markAll()
	return o, nil
}

// versionPrefix is how the tier's own versions begin. No store has such ones.
const versionPrefix = "tier-"

// discard removes the file of an object that was never known. o may be nil.
func (t *Store) discard(o *object) {
	if o != nil {
		_ = os.Remove(o.path) // a leftover, which the next process removes else
	}
}

// putLater has o be stored later.
func (t *Store) putLater(o *object) error {
	o.Dirty, o.Reported = true, versionPrefix+rand.Text()
	if err := t.save(o); err != nil {
		return err
	}
	t.install(o)
	return nil
}

// putNow stores o. What is waiting under its key comes first. The caller has the key's turn.
func (t *Store) putNow(ctx context.Context, o *object, opts backend.PutOptions) (backend.Object, error) {
	file, err := os.Open(o.path)
	if err != nil {
		t.discard(o)
		return backend.Object{}, backend.Wrap(ctx, "put", o.Key, err)
	}
	obj, err := t.putThrough(ctx, o.Key, file, opts)
	_ = file.Close() // it was read
	if err != nil || obj.Version == "" {
		t.discard(o)
		return obj, err
	}
	o.Dirty, o.Version, o.Reported, o.checked = false, obj.Version, obj.Version, time.Now()
	if err := t.save(o); err != nil {
		t.Log.Error("what the tier has will not be known to the next process", "err", err)
	}
	t.install(o)
	return obj, nil
}

// putThrough stores body, what is waiting under key before it. Then it forgets what is known of
// key, or doubts it, if nobody knows what the store has done. The caller has the key's turn.
func (t *Store) putThrough(ctx context.Context, key string, body io.ReadSeeker, opts backend.PutOptions) (backend.Object, error) {
	if err := t.settleNow(ctx, key); err != nil {
		return backend.Object{}, backend.Wrap(ctx, "put", key, fmt.Errorf("what was put before: %w", err))
	}
	var err error
	if opts.If.Version, err = t.storesVersion(key, opts.If.Version); err != nil {
		return backend.Object{}, backend.Wrap(ctx, "put", key, err)
	}
	obj, err := t.store.Put(ctx, key, body, opts)
	if err != nil {
		t.doubt(key)
	} else {
		t.forget(key)
	}
	return obj, err
}

// storesVersion returns what the store calls a version that callers know. It returns ErrConflict
// if that was the tier's own version of an object that the tier has no more. The object may still be
// the same, but nobody knows; a caller that looks again learns the store's version.
func (t *Store) storesVersion(key, version string) (string, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if o := t.objects[key]; o != nil && version == o.Reported && o.Version != "" {
		return o.Version, nil
	}
	if !t.Traits().Unconditional && strings.HasPrefix(version, versionPrefix) {
		return "", backend.ErrConflict
	}
	return version, nil
}

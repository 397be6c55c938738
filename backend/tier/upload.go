package tier

import (
	"context"
	"errors"
	"os"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/larderbuild/larder/backend"
)

const (
	maxUploads = 32     // at once
	maxWaiting = 10_000 // objects that are not stored yet

	maxBackoff = time.Minute // between two attempts
)

// hasRoomFor reports whether an object of size bytes may be stored later. Half of the tier is for
// what is stored.
func (t *Store) hasRoomFor(size int64) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.waiting.objects < maxWaiting && t.waiting.bytes+size <= t.MaxSize/2
}

// later stores o as soon as the store takes it.
func (t *Store) later(o *object) {
	t.mu.Lock()
	t.waiting.objects++
	t.waiting.bytes += o.Size
	t.mu.Unlock()
	t.group.Go(func() {
		for backoff := time.Second; ; backoff = min(2*backoff, maxBackoff) {
			err := t.attempt(o)
			if err == nil {
				return
			}
			t.Log.Error("an object of the tier is not stored yet", "err", err)
			select {
			case <-t.closing: // whose last attempt this was
				return
			default:
			}
			select {
			case <-time.After(backoff):
			case <-t.closing:
			}
		}
	})
}

// attempt stores o once, if that is still to be done.
func (t *Store) attempt(o *object) error {
	select {
	case t.uploads <- struct{}{}:
		defer func() { <-t.uploads }()
	case <-t.writing.Done():
		return context.Cause(t.writing)
	}
	done, err := t.turn(t.writing, o.Key)
	if err != nil {
		return err
	}
	defer done()
	return t.upload(t.writing, o)
}

// settleAll stores what is waiting under keys.
func (t *Store) settleAll(ctx context.Context, keys []string) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(maxUploads)
	for _, key := range keys {
		group.Go(func() error { return t.settle(ctx, key) })
	}
	return group.Wait()
}

// settle stores what is waiting under key.
func (t *Store) settle(ctx context.Context, key string) error {
	done, err := t.turn(ctx, key)
	if err != nil {
		return err
	}
	defer done()
	return t.settleNow(ctx, key)
}

// settleNow is settle for who has the key's turn.
func (t *Store) settleNow(ctx context.Context, key string) error {
	t.mu.Lock()
	o := t.objects[key]
	t.mu.Unlock()
	if o == nil {
		return nil
	}
	return t.upload(ctx, o)
}

// upload stores o, unless that is no longer to be done. The caller has the key's turn.
func (t *Store) upload(ctx context.Context, o *object) error {
	t.mu.Lock()
	due := o.Dirty && !o.gone
	t.mu.Unlock()
	if !due {
		return nil
	}
	file, err := os.Open(o.path)
	if err != nil {
		return t.lose(o, err)
	}
	obj, err := t.store.Put(ctx, o.Key, file, backend.PutOptions{Size: o.Size, MD5: o.MD5})
	_ = file.Close() // it was read
	if errors.Is(err, backend.ErrDigest) {
		return t.lose(o, err)
	}
	if err == nil && obj.Version == "" { // the store does not say it
		obj, err = t.head(ctx, o.Key, o.Size)
	}
	if err != nil {
		return err
	}
	t.mu.Lock()
	t.stored(o)
	o.Version, o.checked = obj.Version, time.Now()
	t.mu.Unlock()
	if err := t.save(o); err != nil {
		t.Log.Error("what the tier has will be stored again by the next process", "err", err)
	}
	return nil
}

// stored notes that o is no longer to be stored. The caller has locked t.mu.
func (t *Store) stored(o *object) {
	o.Dirty = false
	t.waiting.objects--
	t.waiting.bytes -= o.Size
}

// lose gives o up, whose file is not what it was.
func (t *Store) lose(o *object, err error) error {
	t.Log.Error("an object of the tier is lost before it was stored", "key", o.Key, "err", err)
	t.drop(o)
	return nil
}

package tier

import (
	"context"
	"crypto/md5"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/larderbuild/larder/backend"
)

const (
	maxUploads = 32     // at once
	maxWaiting = 10_000 // objects that are not stored yet

	minBackoff = time.Second // after a failure
	maxBackoff = time.Minute // after many
)

// waiting is what is not stored yet: the objects that are Dirty, and in Store.objects. Store.mu
// guards it.
type waiting struct {
	objects map[string]*object // by key
	bytes   int64              // the sum of their costs
	queue   []string           // their keys, but for those that a worker has; and of some that are stored
	queued  map[string]bool    // keys in queue
	workers int
}

// hasRoomFor reports whether o may be stored later, in the place of what waits under its key. Half
// of the tier is for what is stored. Puts that ask at once may get a little more.
func (t *Store) hasRoomFor(o *object) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	n, bytes := len(t.waiting.objects)+1, t.waiting.bytes+o.cost()
	if old := t.waiting.objects[o.Key]; old != nil {
		n, bytes = n-1, bytes-old.cost()
	}
	return n <= maxWaiting && bytes <= t.MaxSize/2
}

// later has o, which is Dirty, be stored as soon as the store takes it. The caller has locked t.mu.
func (t *Store) later(o *object) {
	t.waiting.objects[o.Key] = o
	t.waiting.bytes += o.cost()
	t.enqueue(o.Key)
	if t.waiting.workers < maxUploads && !t.isClosing() && !t.ReadOnly { // else the next process does
		t.waiting.workers++
		t.group.Go(t.work)
	}
}

// settled notes that o is no longer to be stored, if it was. The caller has locked t.mu.
func (t *Store) settled(o *object) {
	if t.waiting.objects[o.Key] == o {
		delete(t.waiting.objects, o.Key)
		t.waiting.bytes -= o.cost()
		o.Dirty = false
	}
}

// enqueue appends key to the queue, unless it is there. The caller has locked t.mu.
func (t *Store) enqueue(key string) {
	w := &t.waiting
	if !w.queued[key] {
		w.queued[key] = true
		w.queue = append(w.queue, key)
	}
}

// next returns the first key of the queue. If there is none, or no time is left, the worker that has
// asked ends.
func (t *Store) next() (key string, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	w := &t.waiting
	if len(w.queue) == 0 || t.writing.Err() != nil {
		w.workers--
		return "", false
	}
	key, w.queue = w.queue[0], w.queue[1:]
	delete(w.queued, key)
	return key, true
}

// work stores what is in the queue. What has failed goes back to its end after a while, and the
// worker waits so long itself: a store that is down gets no more requests than there are workers.
func (t *Store) work() {
	backoff := minBackoff
	for {
		key, ok := t.next()
		if !ok {
			return
		}
		last := t.isClosing()
		err := t.settle(t.writing, key)
		if err == nil {
			backoff = minBackoff
			continue
		}
		t.Log.Error("an object of the tier is not stored yet", "err", err)
		if last {
			continue
		}
		select {
		case <-time.After(backoff):
		case <-t.closing:
		}
		backoff = min(2*backoff, maxBackoff)
		t.mu.Lock()
		if t.waiting.objects[key] != nil {
			t.enqueue(key)
		}
		t.mu.Unlock()
	}
}

// isClosing reports whether Close was called: each object is then tried once more.
func (t *Store) isClosing() bool {
	select {
	case <-t.closing:
		return true
	default:
		return false
	}
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

// settleNow is settle for who has the key's turn. So nobody but a reader that finds the file lost
// ends the waiting of the object meanwhile.
func (t *Store) settleNow(ctx context.Context, key string) error {
	t.mu.Lock()
	o := t.waiting.objects[key]
	if o == nil {
		t.mu.Unlock()
		return nil
	}
	o.uploads++
	t.mu.Unlock()
	defer t.release(o, &o.uploads)

	obj, err := t.upload(ctx, o)
	if errors.Is(err, backend.ErrDigest) && !o.isWhole() || errors.Is(err, fs.ErrNotExist) && isOfDisk(err) {
		t.Log.Error("an object of the tier is lost before it was stored", "key", key, "err", err)
		t.drop(o)
		return nil
	}
	if err != nil {
		return err
	}
	t.mu.Lock()
	if t.waiting.objects[key] == o {
		t.settled(o)
		o.Version, o.checked = obj.Version, time.Now()
	}
	t.mu.Unlock()
	if err := t.save(o); err != nil {
		t.Log.Error("what the tier has will be stored again by the next process", "err", err)
	}
	return nil
}

// upload stores the bytes of o, and returns what the store has then.
func (t *Store) upload(ctx context.Context, o *object) (backend.Object, error) {
	file, err := os.Open(o.path)
	if err != nil {
		return backend.Object{}, ofDisk(err)
	}
	defer file.Close()
	obj, err := t.store.Put(ctx, o.Key, file, backend.PutOptions{Size: o.Size, MD5: o.MD5})
	if err == nil && obj.Version == "" { // the store does not say it
		if obj, err = t.head(ctx, o.Key, o.Size); err != nil {
			err = fmt.Errorf("what was put: %w", err)
		}
	}
	return obj, err
}

// isWhole reports whether the file of o has the bytes that were put. If it has, a store that refuses
// them got others.
func (o *object) isWhole() bool {
	file, err := os.Open(o.path)
	if err != nil {
		return false
	}
	defer file.Close()
	sum := md5.New()
	_, err = io.Copy(sum, file)
	return err == nil && [md5.Size]byte(sum.Sum(nil)) == o.MD5
}

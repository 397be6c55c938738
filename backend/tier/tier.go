package tier

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/gofrs/flock"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/filelock"
)

// Config says where a tier lies, and what it may take for granted.
type Config struct {
	Dir       string                // is made if it is missing
	MaxSize   int64                 // of the objects in it, in bytes
	Immutable func(key string) bool // whether the object under key never changes, if there is one
	ReadOnly  bool                  // nothing is written to the store: what is waiting keeps waiting
	Log       *slog.Logger
}

const (
	// fresh is how long the tier believes what the store has said of an object that may change.
	fresh = time.Minute

	// maxAbsent is of how many keys it is known that there is no object.
	maxAbsent = 1 << 16
)

// Store is a tier and the store behind it.
type Store struct {
	Config
	store backend.Store
	lock  *flock.Flock
	fresh time.Duration

	reading, writing       context.Context // of what goes on behind the callers' backs
	endReading, endWriting context.CancelFunc
	group                  sync.WaitGroup // of that

	closing chan struct{} // closed when uploads may not wait any more

	mu      sync.Mutex
	objects map[string]*object       // by key
	absent  map[string]time.Time     // keys without an object, and when the store said so
	asking  map[string]*question     // about keys, under way
	turns   map[string]chan struct{} // keys that somebody writes; closed at the end of that
	size    int64                    // of all objects: the sum of their costs
	waiting waiting
}

// Stats says what a tier has at one moment.
type Stats struct {
	Objects        int   // those that are not stored yet among them
	Bytes          int64 // that they take, about
	WaitingObjects int   // that are not stored yet
	WaitingBytes   int64 // that those take, about
}

// Stats returns what the tier has. It may be called while requests run.
func (t *Store) Stats() Stats {
	t.mu.Lock()
	defer t.mu.Unlock()
	return Stats{len(t.objects), t.size, len(t.waiting.objects), t.waiting.bytes}
}

// Open returns store behind a tier, which closes it. It fails if another process uses the folder.
func Open(store backend.Store, cfg Config) (*Store, error) {
	if cfg.ReadOnly {
		store = backend.ReadOnly(store)
	}
	t := &Store{
		Config:  cfg,
		store:   store,
		lock:    flock.New(filepath.Join(cfg.Dir, "lock")),
		fresh:   fresh,
		closing: make(chan struct{}),
		objects: make(map[string]*object),
		absent:  make(map[string]time.Time),
		asking:  make(map[string]*question),
		turns:   make(map[string]chan struct{}),
		waiting: waiting{objects: make(map[string]*object), queued: make(map[string]bool)},
	}
	if err := os.MkdirAll(t.objectsDir(), 0o700); err != nil {
		return nil, err
	}
	if locked, err := t.lock.TryLock(); err != nil && !filelock.Missing(err) {
		return nil, err
	} else if err == nil && !locked {
		return nil, fmt.Errorf("%s: another process uses it", cfg.Dir)
	}
	t.reading, t.endReading = context.WithCancel(context.Background())
	t.writing, t.endWriting = context.WithCancel(context.Background())
	if err := t.load(); err != nil {
		_ = t.lock.Close()
		return nil, err
	}
	return t, nil
}

func (t *Store) objectsDir() string { return filepath.Join(t.Dir, "objects") }

func (t *Store) Traits() backend.Traits { return t.store.Traits() }

// Delete removes the object, also if it is not stored yet.
func (t *Store) Delete(ctx context.Context, key, version string) error {
	done, err := t.turn(ctx, key)
	if err != nil {
		return backend.Wrap(ctx, "delete", key, err)
	}
	defer done()
	t.mu.Lock()
	waiting := t.waiting.objects[key]
	t.mu.Unlock()
	switch {
	case waiting != nil && version != "" && version != waiting.Reported:
		err = backend.ErrConflict
	case waiting != nil:
		version = "" // whatever the store has, it is to be replaced
	default:
		version, err = t.storesVersion(key, version)
	}
	if err != nil {
		return backend.Wrap(ctx, "delete", key, err)
	}
	if err := t.store.Delete(ctx, key, version); err != nil {
		if waiting == nil && t.Immutable(key) { // it is damaged, and nobody would ask the store again
			t.forget(key)
		} else {
			t.doubt(key)
		}
		return err
	}
	t.forget(key)
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.objects[key] == nil { // else it was put since, by another machine
		t.missing(key)
	}
	return nil
}

// List stores first what is waiting under prefix. With Config.ReadOnly it leaves that out.
func (t *Store) List(ctx context.Context, prefix string) iter.Seq2[backend.Object, error] {
	return func(yield func(backend.Object, error) bool) {
		if !t.ReadOnly {
			if err := t.settleAll(ctx, t.waitingKeys(prefix)); err != nil {
				yield(backend.Object{}, backend.Wrap(ctx, "list", prefix, err))
				return
			}
		}
		for obj, err := range t.store.List(ctx, prefix) {
			if err == nil {
				obj.Version = t.reported(obj)
			}
			if !yield(obj, err) {
				return
			}
		}
	}
}

// reported returns the version of obj, an object of the store, that callers know.
func (t *Store) reported(obj backend.Object) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if o := t.objects[obj.Key]; o != nil && !o.Dirty && o.Version == obj.Version {
		return o.Reported
	}
	return obj.Version
}

// waitingKeys returns the keys under prefix whose objects are not stored yet.
func (t *Store) waitingKeys(prefix string) (keys []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for key := range t.waiting.objects {
		if strings.HasPrefix(key, prefix) {
			keys = append(keys, key)
		}
	}
	return keys
}

// closeTime is how long Close waits for what is not stored yet.
const closeTime = 30 * time.Second

// Close stores what is waiting. It gives up after half a minute: the next process goes on. Reads
// that wait for the store fail.
func (t *Store) Close() error {
	t.mu.Lock() // whoever has it may still begin something
	t.endReading()
	close(t.closing)
	t.mu.Unlock()
	ended := make(chan struct{})
	go func() {
		t.group.Wait()
		close(ended)
	}()
	select {
	case <-ended:
	case <-time.After(closeTime):
		t.endWriting()
		<-ended
	}
	t.endWriting()
	if left := t.Stats(); left.WaitingObjects > 0 {
		t.Log.Warn("objects of the tier are not stored yet: the next process goes on", "objects", left.WaitingObjects, "bytes", left.WaitingBytes)
	}
	return errors.Join(t.store.Close(), t.lock.Close())
}

// turn waits until nobody else writes the object under key, and keeps others from it until the
// caller calls done.
func (t *Store) turn(ctx context.Context, key string) (done func(), err error) {
	for {
		t.mu.Lock()
		other, busy := t.turns[key]
		if !busy {
			mine := make(chan struct{})
			t.turns[key] = mine
			t.mu.Unlock()
			return func() {
				t.mu.Lock()
				defer t.mu.Unlock()
				delete(t.turns, key)
				close(mine)
			}, nil
		}
		t.mu.Unlock()
		select {
		case <-other:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// missing notes that there is no object under key. The caller has locked t.mu.
func (t *Store) missing(key string) {
	if len(t.absent) >= maxAbsent {
		clear(t.absent)
	}
	t.absent[key] = time.Now()
}

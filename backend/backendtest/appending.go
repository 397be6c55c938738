package backendtest

import (
	"context"
	"fmt"
	"io"
	"iter"
	"strings"
	"sync"

	"github.com/larderbuild/larder/backend"
)

// Appending returns an empty store in memory that has the traits of a cache service: a Put
// replaces nothing, and there are no conditions, no Delete and no List. It passes [Run].
func Appending() backend.Store { return &appending{Store: Memory()} }

// appending keeps what was put under keys of its own in a Memory.
type appending struct {
	backend.Store
	mu   sync.Mutex
	puts []put // in their order
}

// put is one object of an appending store.
type put struct{ key, inner string }

func (*appending) Traits() backend.Traits {
	return backend.Traits{Scarce: true, Unconditional: true, Unlisted: true, Appends: true, UnreadDays: 7}
}

// newest returns the newest put of key, or of what is below it.
func (a *appending) newest(key string) (found put) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, p := range a.puts {
		if p.key == key || strings.HasSuffix(key, "/") && strings.HasPrefix(p.key, key) {
			found = p
		}
	}
	return found
}

func (a *appending) Get(ctx context.Context, key string, r backend.Range) (io.ReadCloser, backend.Object, error) {
	found := a.newest(key)
	body, obj, err := a.Store.Get(ctx, found.inner, r)
	obj.Key = found.key
	return body, obj, err
}

func (a *appending) Put(ctx context.Context, key string, body io.ReadSeeker, opts backend.PutOptions) (backend.Object, error) {
	if opts.If != (backend.Condition{}) {
		return backend.Object{}, fmt.Errorf("appending: %w: %s", backend.ErrNoConditions, key)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	inner := fmt.Sprintf("%s#%d", key, len(a.puts))
	obj, err := a.Store.Put(ctx, inner, body, opts)
	if err != nil {
		return obj, err
	}
	a.puts = append(a.puts, put{key, inner})
	obj.Key = key
	return obj, nil
}

func (*appending) Delete(_ context.Context, key, _ string) error {
	return fmt.Errorf("appending: %w: %s", backend.ErrUnsupported, key)
}

func (*appending) List(_ context.Context, prefix string) iter.Seq2[backend.Object, error] {
	return func(yield func(backend.Object, error) bool) {
		yield(backend.Object{}, fmt.Errorf("appending: %w: %s", backend.ErrUnsupported, prefix))
	}
}

package serve

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/larderbuild/larder/backend"
)

// uses remembers when objects were used last, of those that other tools keep. larder's own are
// collected by what its manifests name.
type uses struct {
	mu   sync.Mutex
	last map[string]int64 // by key, in Unix seconds
}

func (u *uses) note(key string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.last[key] = time.Now().Unix()
}

// of returns when an object was used last: when it was written, unless it was read since the
// server's start.
func (u *uses) of(obj backend.Object) int64 {
	u.mu.Lock()
	defer u.mu.Unlock()
	return max(u.last[obj.Key], obj.Written.Unix())
}

func (u *uses) forget(key string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.last, key)
}

// foreign are how the keys begin of what other tools than larder keep.
var foreign = []string{"cache/", actionCache + "/", contentStorage + "/"}

// Evicted says what Evict did.
type Evicted struct {
	Objects   int   // removed
	Bytes     int64 // removed
	BytesLeft int64
}

// Evict removes what lies below /cache, /ac and /cas and was not used for the longest time,
// until maxSize bytes are left. It needs a store that lists and deletes. After an error it goes
// on, and returns all errors.
func (s *Server) Evict(ctx context.Context, maxSize int64) (e Evicted, err error) {
	var objects []backend.Object
	for _, prefix := range foreign {
		for obj, err := range s.Store.List(ctx, prefix) {
			if err != nil {
				return e, fmt.Errorf("evict: %w", err)
			}
			objects = append(objects, obj)
			e.BytesLeft += obj.Size
		}
	}
	slices.SortFunc(objects, func(a, b backend.Object) int { return int(s.uses.of(a) - s.uses.of(b)) })
	var errs []error
	for _, obj := range objects {
		if e.BytesLeft <= maxSize {
			break
		}
		switch err := s.Store.Delete(ctx, obj.Key, obj.Version); {
		case err == nil:
			s.uses.forget(obj.Key)
			e.Objects++
			e.Bytes += obj.Size
			e.BytesLeft -= obj.Size
		case !errors.Is(err, backend.ErrConflict): // that it was replaced meanwhile is a use
			errs = append(errs, err)
		}
	}
	return e, errors.Join(errs...)
}

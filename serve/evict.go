package serve

import (
	"cmp"
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
	mu    sync.Mutex
	since int64            // when the server began to remember them, in Unix seconds
	last  map[string]int64 // by key, in Unix seconds; nil: nobody asks
}

func (u *uses) note(key string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.last != nil {
		u.last[key] = time.Now().Unix()
	}
}

// keep forgets all uses but those of objects. It returns when each of these was used last: when it
// was written, unless it was read since the server's start.
func (u *uses) keep(objects []backend.Object) (last map[string]int64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	kept := make(map[string]int64)
	last = make(map[string]int64)
	for _, obj := range objects {
		if at, ok := u.last[obj.Key]; ok {
			kept[obj.Key] = at
		}
		last[obj.Key] = max(u.last[obj.Key], obj.Written.Unix())
	}
	u.last = kept
	return last
}

// Evicted says what Evict did.
type Evicted struct {
	Objects   int   // removed
	Bytes     int64 // removed
	BytesLeft int64
}

// Evict removes what lies below /cache, /ac and /cas and was not used for maxAge, unless that is 0.
// All of it counts as used at the server's start, since nobody knows better. Then it goes on with what was not
// used for the longest time, until that and larder's own objects have no more than maxSize bytes
// together. It leaves half of maxSize to the ones and to the others. It needs a store that lists
// and deletes, and Config.Evicts. An error of a list ends it. After an error of a delete it goes
// on, and returns all of them.
func (s *Server) Evict(ctx context.Context, maxSize int64, maxAge time.Duration) (e Evicted, err error) {
	found, err := s.survey(ctx)
	if err != nil {
		return e, fmt.Errorf("evict: %w", err)
	}
	defer s.publish(found) // without what was removed
	var own int64
	own, e.BytesLeft = found.bytes()
	objects := found.foreign
	limit := max(maxSize/2, maxSize-own)
	last := s.uses.keep(objects)
	slices.SortFunc(objects, func(a, b backend.Object) int { return cmp.Compare(last[a.Key], last[b.Key]) })
	var cutoff int64 // in Unix seconds
	if maxAge > 0 {
		cutoff = time.Now().Add(-maxAge).Unix()
	}
	var errs []error
	for _, obj := range objects {
		if e.BytesLeft <= limit && max(last[obj.Key], s.uses.since) >= cutoff {
			break
		}
		switch err := s.Store.Delete(ctx, obj.Key, obj.Version); {
		case err == nil:
			e.Objects++
			e.Bytes += obj.Size
			e.BytesLeft -= obj.Size
			found.add(obj, -1)
		case !errors.Is(err, backend.ErrConflict): // that it was replaced meanwhile is a use
			errs = append(errs, err)
		}
	}
	return e, errors.Join(errs...)
}

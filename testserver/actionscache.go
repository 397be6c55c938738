package testserver

import (
	"context"
	"crypto/rand"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// actionsCache is the entries of an [ActionsServer].
type actionsCache struct {
	mu      sync.Mutex
	rules   ActionsRules
	ahead   time.Duration // of this clock before the machine's
	entries []*actionsEntry
	created []time.Time // when entries were reserved within the last window
	removed []string    // blobs of entries that are gone
	ids     int
	signed  map[string]bool // signatures of URLs; true: good
	counts  ActionsCounts
	watch   func(*http.Request)
}

// actionsEntry is an entry, or the reservation for one.
type actionsEntry struct {
	scope, key, version string

	blob string
	id   int // numbers the entries in the order in which they were finalized; 0: a reservation
	size int64
	used time.Time
}

// ActionsCounts are what an [ActionsServer] has been asked for.
type ActionsCounts struct {
	Calls     int // of the service
	Creations int // of these, entries that were reserved
	TooMany   int // of these, reservations that were refused since there were too many
	Blobs     int // requests through signed URLs
}

// Change changes the rules.
func (c *actionsCache) Change(change func(*ActionsRules)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change(&c.rules)
}

// Watch has watch see each request before it is answered.
func (c *actionsCache) Watch(watch func(*http.Request)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.watch = watch
}

// Counts returns what was asked for so far.
func (c *actionsCache) Counts() ActionsCounts {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.counts
}

// Keys returns the keys of a ref's entries, the oldest first.
func (c *actionsCache) Keys(ref string) (keys []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, e := range c.entries {
		if e.id > 0 && e.scope == ref {
			keys = append(keys, e.key)
		}
	}
	return keys
}

// Evict removes the entries of all refs whose keys contain part, as GitHub does with what
// nobody has read for long. It returns how many there were.
func (c *actionsCache) Evict(part string) (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.remove(func(e *actionsEntry) bool {
		hit := e.id > 0 && strings.Contains(e.key, part)
		if hit {
			n++
		}
		return hit
	})
	return n
}

// Expire has all URLs that were signed so far be out of date.
func (c *actionsCache) Expire() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for sig := range c.signed {
		c.signed[sig] = false
	}
}

// Advance turns the clock forward.
func (c *actionsCache) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ahead += d
}

func (c *actionsCache) now() time.Time { return time.Now().Add(c.ahead) }

// seen counts a request.
func (c *actionsCache) seen(r *http.Request) {
	c.mu.Lock()
	watch := c.watch
	if r.PathValue("method") != "" {
		c.counts.Calls++
	} else {
		c.counts.Blobs++
	}
	c.mu.Unlock()
	if watch != nil {
		watch(r)
	}
}

// reserve reserves the key of a request, if nobody has done so before.
func (c *actionsCache) reserve(scope string, r actionsRequest) (*actionsEntry, *twirpError) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if wait := c.tooMany(); wait > 0 {
		c.counts.TooMany++
		refused := refuse(http.StatusTooManyRequests, "resource_exhausted", "rate limit exceeded")
		refused.after = wait
		return nil, refused
	}
	if c.lookup(scope, r) != nil {
		return nil, refuse(http.StatusConflict, "already_exists", "cache entry with the same key, version, and scope already exists")
	}
	e := &actionsEntry{scope: scope, key: r.Key, version: r.Version, blob: rand.Text()}
	c.entries = append(c.entries, e)
	c.created = append(c.created, c.now())
	c.counts.Creations++
	return e, nil
}

// tooMany returns how long it takes until another entry may be reserved. The caller holds
// c.mu.
func (c *actionsCache) tooMany() time.Duration {
	now := c.now()
	c.created = slices.DeleteFunc(c.created, func(t time.Time) bool { return now.Sub(t) >= c.rules.Window })
	switch {
	case len(c.created) < c.rules.Creations:
		return 0
	case c.rules.Creations == 0:
		return c.rules.Window
	}
	return c.rules.Window - now.Sub(c.created[len(c.created)-c.rules.Creations])
}

// lookup returns the entry or reservation of a request's key. The caller holds c.mu.
func (c *actionsCache) lookup(scope string, r actionsRequest) *actionsEntry {
	i := slices.IndexFunc(c.entries, func(e *actionsEntry) bool {
		return e.scope == scope && strings.EqualFold(e.key, r.Key) && e.version == r.Version
	})
	if i < 0 {
		return nil
	}
	return c.entries[i]
}

// reserved returns the reservation of a request's key, or nil.
func (c *actionsCache) reserved(scope string, r actionsRequest) *actionsEntry {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.lookup(scope, r); e != nil && e.id == 0 {
		return e
	}
	return nil
}

// publish makes an entry of a reservation, and returns its ID. Entries that were used last
// the longest time ago go, if there are too many bytes.
func (c *actionsCache) publish(e *actionsEntry, size int64) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ids++
	e.id, e.size, e.used = c.ids, size, c.now()
	var sum int64
	for _, one := range c.entries {
		sum += one.size
	}
	for sum > c.rules.Quota {
		oldest := e
		for _, one := range c.entries {
			if one.id > 0 && one.used.Before(oldest.used) {
				oldest = one
			}
		}
		sum -= oldest.size
		c.remove(func(one *actionsEntry) bool { return one == oldest })
	}
	return e.id
}

// newest returns the entry of a scope whose key is the given one, or else the newest one
// whose key begins with it. As on GitHub, case does not count. From then on the entry counts
// as used.
func (c *actionsCache) newest(scope, key, version string) (found *actionsEntry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	c.remove(func(e *actionsEntry) bool { return e.id > 0 && now.Sub(e.used) > c.rules.Unread })
	for _, e := range c.entries {
		if e.id == 0 || e.scope != scope || e.version != version || !hasPrefixFold(e.key, key) {
			continue
		}
		if len(e.key) == len(key) {
			found = e
			break
		}
		if found == nil || e.id > found.id {
			found = e
		}
	}
	if found != nil {
		found.used = now
	}
	return found
}

// hasPrefixFold reports whether s begins with prefix, in whatever case.
func hasPrefixFold(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}

// remove removes the entries for which gone returns true. The caller holds c.mu.
func (c *actionsCache) remove(gone func(*actionsEntry) bool) {
	c.entries = slices.DeleteFunc(c.entries, func(e *actionsEntry) bool {
		hit := gone(e)
		if hit {
			c.removed = append(c.removed, e.blob)
		}
		return hit
	})
}

// removeBlobs removes the bytes of entries that are gone.
func (s *ActionsServer) removeBlobs(ctx context.Context) {
	s.mu.Lock()
	removed := s.removed
	s.removed = nil
	s.mu.Unlock()
	for _, blob := range removed {
		_, _ = s.bucket.NewBlobClient(blob).Delete(ctx, nil) // nobody finds it any more
	}
}

package cache

import (
	"sync"
	"time"

	"github.com/larderbuild/larder/entry"
	"github.com/larderbuild/larder/protocol"
)

// costs remembers when actions were missed. The put of an action then tells how long it
// took to build. Its methods may be called at the same time.
type costs struct {
	mu    sync.Mutex
	times map[protocol.ActionID]time.Time // of misses that no put has followed yet
}

// missed notes that action was missed.
func (c *costs) missed(action protocol.ActionID, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.times == nil {
		c.times = make(map[protocol.ActionID]time.Time)
	}
	c.times[action] = now
}

// unanswered reports whether no put has followed one of the misses.
func (c *costs) unanswered() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.times) > 0
}

// take reports whether action was missed, and returns the time since then, at most
// entry.MaxCost. It forgets the miss.
func (c *costs) take(action protocol.ActionID, now time.Time) (cost time.Duration, missed bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	since, missed := c.times[action]
	if !missed {
		return 0, false
	}
	delete(c.times, action)
	return min(max(0, now.Sub(since)), entry.MaxCost), true
}

package cache

import (
	"sync"
	"time"

	"github.com/larderbuild/larder/entry"
	"github.com/larderbuild/larder/protocol"
)

// costs remembers when actions were missed, to tell at their put what building
// them took.
type costs struct {
	mu    sync.Mutex
	times map[protocol.ActionID]time.Time
}

func (c *costs) missed(action protocol.ActionID, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.times == nil {
		c.times = make(map[protocol.ActionID]time.Time)
	}
	c.times[action] = now
}

// unanswered reports whether something was missed and not put.
func (c *costs) unanswered() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.times) > 0
}

// since returns the time since action was missed, of which no more than
// entry.MaxCost counts, or 0 if it was not.
func (c *costs) since(action protocol.ActionID, now time.Time) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	missed, ok := c.times[action]
	if !ok {
		return 0
	}
	delete(c.times, action)
	return boundedCost(now.Sub(missed))
}

// boundedCost returns what is stated of a build cost.
func boundedCost(cost time.Duration) time.Duration { return min(max(0, cost), entry.MaxCost) }

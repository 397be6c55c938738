package cache

import (
	"errors"
	"sync/atomic"
)

// errCold is the reason of a miss that was answered without waiting.
var errCold = errors.New("the remote had none of those asked for before")

// coldLookups is how many lookups in a row come to nothing before the next are
// no longer waited for.
const coldLookups = 64

// coldness tells whether lookups are worth waiting for: a build whose packages
// nobody has built pays for a few round trips, not for one for each of them.
type coldness struct{ misses atomic.Int64 }

func (c *coldness) is() bool { return c.misses.Load() >= coldLookups }

// note takes the outcome of a lookup.
func (c *coldness) note(hit bool) {
	if hit {
		c.misses.Store(0)
	} else {
		c.misses.Add(1)
	}
}

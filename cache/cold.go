package cache

import (
	"errors"
	"sync/atomic"
)

// errCold is the reason of a miss that was answered without waiting.
var errCold = errors.New("the remote had none of those asked for before")

const (
	// coldLookups is how many lookups in a row come to nothing before the
	// next are no longer waited for; newLookups, where the remote has no
	// manifest of the module, either.
	coldLookups = 64
	newLookups  = 8

	// probes is the number of gets of which one is then still looked up,
	// behind its answer. A lookup takes a few milliseconds of a core, which
	// the compiler has better use for.
	probes = 8
)

// coldness tells whether lookups are worth waiting for: a build whose packages
// nobody has built pays for a few round trips, not for one for each of them.
type coldness struct {
	misses  atomic.Int64
	skipped atomic.Int64 // gets since the last probe
}

// is reports whether lookups are not worth waiting for, of a module that is new
// to the remote or is not.
func (c *coldness) is(isNew bool) bool {
	if isNew {
		return c.misses.Load() >= newLookups
	}
	return c.misses.Load() >= coldLookups
}

// probe reports whether a get, now that it is cold, is to tell whether the next
// ones are worth waiting for.
func (c *coldness) probe() bool { return c.skipped.Add(1)%probes == 0 }

// note takes the outcome of a lookup.
func (c *coldness) note(hit bool) {
	if hit {
		c.misses.Store(0)
	} else {
		c.misses.Add(1)
	}
}

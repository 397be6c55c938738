package cache

import (
	"errors"
	"sync/atomic"

	"github.com/larderbuild/larder/pack"
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
//
// Nor are they while the go command loads packages. What it then asks for and the
// manifest does not name are indexes of the main module's packages, of which a
// fresh checkout has new ones, and which no remote holds.
type coldness struct {
	misses  atomic.Int64
	skipped atomic.Int64 // gets since the last probe
	loaded  atomic.Bool  // something besides module indexes was hit
}

// is reports whether lookups are not worth waiting for.
func (c *coldness) is(p *prefetch) bool {
	limit := int64(coldLookups)
	if p.known() {
		if p.indexed && !c.loaded.Load() {
			return true
		}
		if p.isNew {
			limit = newLookups
		}
	}
	return c.misses.Load() >= limit
}

// hit takes a hit that the manifest promised as e.
func (c *coldness) hit(e *pack.Entry) {
	if !c.loaded.Load() && (e.Head != nil || !e.InPack() && !isModuleIndex(e.Inline)) {
		c.loaded.Store(true)
	}
}

// probe reports whether a get, now that it is cold, is to tell whether the next
// ones are worth waiting for.
func (c *coldness) probe() bool { return c.skipped.Add(1)%probes == 0 }

// note takes the outcome of a lookup.
func (c *coldness) note(hit bool) {
	if hit {
		c.misses.Store(0)
		c.loaded.Store(true)
	} else {
		c.misses.Add(1)
	}
}

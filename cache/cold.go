package cache

import (
	"errors"
	"sync/atomic"

	"github.com/larderbuild/larder/pack"
)

// errCold is the reason of a miss that was answered without a lookup.
var errCold = errors.New("no lookup: the remote is not expected to have it")

const (
	// coldAfter is how many lookups in a row come to nothing before gets are no
	// longer looked up. coldAfterIfNew is that number where the remote has no
	// manifest of the module.
	coldAfter      = 64
	coldAfterIfNew = 8

	// getsPerProbe is the number of gets of which one is still looked up then,
	// behind its answer. A lookup takes a few milliseconds of a core, which
	// the compiler has better use for.
	getsPerProbe = 8
)

// coldness tells whether lookups are worth waiting for. A build whose packages
// nobody has built then pays for a few round trips, not for one for each package.
//
// Lookups are not worth waiting for while the go command loads packages, either. It
// asks for module indexes then, and those that the manifest does not name are in no
// remote; see isModuleIndex.
type coldness struct {
	misses  atomic.Int64 // lookups in a row that came to nothing
	skipped atomic.Int64 // gets since the last probe
	loaded  atomic.Bool  // the packages are: something besides module indexes was hit
}

// skips reports whether the next get is to be answered without a lookup. p is nil
// as long as no manifest is known.
func (c *coldness) skips(p *promises) bool {
	limit := int64(coldAfter)
	if p != nil {
		if p.indexed && !c.loaded.Load() {
			return true
		}
		if p.isNew {
			limit = coldAfterIfNew
		}
	}
	return c.misses.Load() >= limit
}

// noteHit takes note of a hit that the manifest promised as e.
func (c *coldness) noteHit(e *pack.Entry) {
	if !c.loaded.Load() && (e.Head != nil || !e.InPack() && !isModuleIndex(e.Inline)) {
		c.loaded.Store(true)
	}
}

// probe reports whether a get that was not looked up is to be, behind its answer.
func (c *coldness) probe() bool { return c.skipped.Add(1)%getsPerProbe == 0 }

// note takes note of how a lookup ended.
func (c *coldness) note(hit bool) {
	if hit {
		c.misses.Store(0)
		c.loaded.Store(true)
	} else {
		c.misses.Add(1)
	}
}

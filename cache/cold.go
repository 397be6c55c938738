package cache

import (
	"errors"
	"sync/atomic"

	"github.com/larderbuild/larder/modindex"
	"github.com/larderbuild/larder/pack"
	"github.com/larderbuild/larder/protocol"
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
// asks for module indexes then, of which no remote has entry objects, and makes those that
// no manifest names.
type coldness struct {
	misses  atomic.Int64 // lookups in a row that came to nothing
	skipped atomic.Int64 // gets since the last probe
	loaded  atomic.Bool  // the packages are: something besides module indexes was hit or put
}

// skips reports whether a get of action is to be answered without a lookup. p is nil
// as long as no manifest is known.
func (c *coldness) skips(action protocol.ActionID, p *promises) bool {
	limit := int64(coldAfter)
	if p != nil {
		if len(p.index) > 0 && !c.loaded.Load() && p.mayBeIndex(action) {
			return true
		}
		if p.isNew {
			limit = coldAfterIfNew
		}
	}
	return c.misses.Load() >= limit
}

// noteHit takes note of a hit that the manifest promised as e, and whose file is at path.
func (c *coldness) noteHit(e *pack.Entry, path string) {
	if c.loaded.Load() {
		return
	}
	begin := e.Inline
	if e.InPack() {
		begin = beginning(path)
	}
	if modindex.KindOf(begin) == modindex.None {
		c.loaded.Store(true)
	}
}

// probe reports whether a get that was not looked up is to be, behind its answer.
func (c *coldness) probe() bool { return c.loaded.Load() && c.skipped.Add(1)%getsPerProbe == 0 }

// note takes note of how a lookup ended.
func (c *coldness) note(hit bool) {
	if hit {
		c.misses.Store(0)
		c.loaded.Store(true)
	} else {
		c.misses.Add(1)
	}
}

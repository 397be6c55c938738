package cache

import "github.com/larderbuild/larder/pack"

const (
	// expiry is the number of days without a use after which an entry leaves the
	// manifest.
	expiry = 7

	// maxGap is by how many days a publication advances the calendar, at most. A clock
	// that differs by more from the last one is far.
	maxGap = 3
)

// calendar is the time by which the entries of a manifest expire. The clocks of those who
// publish advance it, but no single clock takes it far: a machine whose clock is wrong must
// not take anything away from the others.
type calendar struct {
	today pack.Day
	clock pack.Day // that advanced the calendar last
	far   pack.Day // the last clock, if that was far from clock; otherwise 0
}

// newCalendar returns the calendar of the publication that follows old, by a machine whose
// clock says that it is now.
//
// The calendar follows a clock that is near the last one. A clock that is far counts only if
// the next publication's is far as well, and later. Then nobody has published for long, or
// the last clock was wrong.
func newCalendar(old *pack.Manifest, now pack.Day) calendar {
	c := calendar{old.Today, old.Clock, old.Far}
	switch {
	case c.clock == 0: // the first publication
		return calendar{today: now, clock: now}
	case now <= c.clock+maxGap && now+maxGap >= c.clock:
		c.far = 0
		if now > c.clock {
			c.today, c.clock = c.today+now-c.clock, now
		}
	case c.far == 0 || now <= c.far:
		c.far = now
	default:
		return calendar{today: c.today + min(now-c.far, maxGap), clock: now}
	}
	return c
}

// expired reports whether what was last used on day has expired.
func (c calendar) expired(day pack.Day) bool { return day+expiry < c.today }

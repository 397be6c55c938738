package cache

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/localdisk"
	"github.com/larderbuild/larder/pack"
	"github.com/larderbuild/larder/protocol"
)

const (
	// expiry is after how many days without a use an entry leaves the
	// manifest.
	expiry = 7

	// maxPacks is how many packs of its own a profile's manifest names
	// before they are rewritten as one; they are, too, when more than a
	// third of their bytes are of no use any more.
	maxPacks = 8

	// publishAttempts is how often a manifest that others change meanwhile
	// is merged with theirs. Each time one of them has got through, so a
	// hundred jobs that end at once need a hundred attempts at most, and the
	// pauses between them, of up to a second, make that far fewer.
	publishAttempts = 100

	firstPause = 20 * time.Millisecond
	maxPause   = time.Second
)

var moduleIndex = []byte("go index v")

// publisher writes what sessions used into a profile's manifest, and what the
// manifest lacks into a pack.
type publisher struct {
	local     *localdisk.Dir
	manifests *manifests
	elsewhere map[protocol.ActionID]protocol.OutputID // what other scopes name
	withheld  *withheld
	stays     map[protocol.ActionID]bool // what is withheld, so far
	maxObject int64
	temp      string // folder for packs on their way out
	today     pack.Day

	packed map[protocol.ActionID]place // what this publisher has packed
	saved  Saved

	planned func(entries int) // told how many entries are to be packed
	done    func()            // told of each that was
}

// place is where the entry of an action lies.
type place struct {
	output protocol.OutputID
	pack   pack.Pack
	offset int64
	length int64
}

// newPublisher returns a publisher into l, of which h was found.
func newPublisher(local *localdisk.Dir, l *library, h *holdings, w *withheld, maxObject int64, temp string, now time.Time) *publisher {
	return &publisher{
		local: local, manifests: l.own, elsewhere: h.elsewhere(), withheld: w, stays: w.actions(), maxObject: maxObject, temp: temp, today: pack.DayOf(now),
		packed:  make(map[protocol.ActionID]place),
		planned: func(int) {},
		done:    func() {},
	}
}

// needed reports whether publish would write anything. index finds the entries
// of what was found by their action. It looks at the disk only for what may be new.
func (p *publisher) needed(h *holdings, r record, index map[protocol.ActionID]int) bool {
	if p.newEager(h.own, r) {
		return true
	}
	for _, u := range r.uses {
		i, known := index[u.action]
		if p.stays[u.action] {
			continue
		}
		if u.dropped {
			return true
		}
		if known && !u.fresh && !u.misplaced {
			if h.isOwn(i) && (h.found.Entries[i].Used != p.today || h.own.version == "") {
				return true
			}
			continue
		}
		e, path, err := p.local.Get(u.action)
		if err != nil || e.Size > p.maxObject || known && !u.misplaced && h.found.Entries[i].Output == e.Output {
			continue
		}
		if !isModuleIndex(beginning(path)) {
			return true
		}
	}
	return false
}

// newEager reports whether r has an eager command that old does not have, from
// today.
func (p *publisher) newEager(old published, r record) bool {
	l, known := old.FindEager(r.eager)
	return r.eager != (record{}).eager && (!known || l.Used != p.today)
}

// publish brings the manifest up to date with r. It writes nothing if the
// manifest has all of it, from today. old is the manifest as the session
// found it; if others have written one since, theirs is merged with ours.
func (p *publisher) publish(ctx context.Context, old published, r record) error {
	pause := firstPause
	for attempt := 1; ; attempt++ {
		err := p.try(ctx, old, r)
		if !errors.Is(err, backend.ErrConflict) {
			return err
		}
		if attempt == publishAttempts {
			return fmt.Errorf("publish: %w", err)
		}
		select {
		case <-time.After(rand.N(pause)):
		case <-ctx.Done():
			return fmt.Errorf("publish: %w, after: %w", context.Cause(ctx), err)
		}
		pause = min(2*pause, maxPause)
		if old, err = p.manifests.fetch(ctx); err != nil && old.Manifest == nil {
			return fmt.Errorf("publish: %w", err)
		}
	}
}

func (p *publisher) try(ctx context.Context, old published, r record) error {
	d := p.draft(old, r)
	p.saved = Saved{Used: d.used, New: d.news}
	if !d.needed {
		return nil
	}
	if err := d.pack(ctx); err != nil {
		return err
	}
	if err := p.manifests.publish(ctx, old, &d.next); err != nil {
		return err
	}
	p.saved.Published = true
	return nil
}

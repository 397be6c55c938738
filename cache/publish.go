package cache

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/pack"
	"github.com/larderbuild/larder/protocol"
	"github.com/larderbuild/larder/session"
)

const (
	// publishAttempts is how often a publication merges with what others have
	// published meanwhile. Each time one of them has got through, so a hundred
	// jobs that end at once need a hundred attempts at most. The pauses between
	// them, of up to a second, make that far fewer.
	publishAttempts = 100

	// vainAttempts is how many conflicts in a row end a publication if nobody has
	// published meanwhile: then the store's conditions never hold.
	vainAttempts = 5

	// manifestPatience is how long a manifest may wait for its turn, if a store takes only
	// so many objects a minute.
	manifestPatience = 90 * time.Second

	firstPause = 20 * time.Millisecond
	maxPause   = time.Second
)

// publisher brings a profile's manifest up to date with what sessions used, and puts
// what the manifest lacks into a pack.
type publisher struct {
	Config
	manifests *manifests
	elsewhere map[protocol.ActionID]protocol.OutputID // what other scopes name
	lendable  lendable
	withheld  *withheld
	marked    map[protocol.ActionID]bool // actions of which an entry is withheld
	session   *session.Session           // has room for packs on their way out
	now       pack.Day                   // by the clock of this machine
	room      int64                      // bytes that the bodies in one publication's pack may have; 0: any number
	pace      *pace
	limits    limits // of packs
	newDay    bool   // this publisher has published the profile's first manifest of a day

	lost       map[pack.ID]bool                // packs that it has looked after; true: it is gone
	places     map[protocol.ActionID]placement // of what this publisher has packed
	packedSize int64                           // of the bodies packed in this publication, in bytes
	current    published                       // the manifest, as far as this publisher knows; zero: there is none of this version
	saved      Saved
}

// placement says where a pack holds an entry.
type placement struct {
	output protocol.OutputID
	pack   pack.Pack
	span   pack.Span
	time   time.Time // that the pack has for the entry
}

// newPublisher returns a publisher into l, whose manifests hold found.
func newPublisher(l *library, found *holdings, w *withheld, s *session.Session, now time.Time) *publisher {
	return &publisher{
		Config:    l.written.remote.Config,
		manifests: l.written,
		elsewhere: found.elsewhere(),
		lendable:  found.lendable(l.written.scope),
		withheld:  w,
		marked:    w.actions(),
		session:   s,
		now:       pack.DayOf(now),
		pace:      new(pace),
		lost:      make(map[pack.ID]bool),
		places:    make(map[protocol.ActionID]placement),
		limits:    usualLimits,
	}
}

// publish brings the manifest up to date with r. It writes nothing if the manifest
// has all of r, as used today. old is the manifest as the session found it. If others
// have published since, publish merges theirs with r. It returns what there was no room
// for in the pack; after an error, that is all of r.
func (p *publisher) publish(ctx context.Context, old published, r session.Record) (rest session.Record, err error) {
	p.packedSize = 0
	err = p.contend(ctx, old, func(old published) (err error) {
		rest, err = p.try(ctx, old, r)
		return err
	})
	if err != nil {
		return r, err
	}
	return rest, nil
}

// contend calls try with the manifest old and, as long as others write at the same time,
// with the one that they have left.
func (p *publisher) contend(ctx context.Context, old published, try func(old published) error) error {
	pause, vain := firstPause, 0
	for attempt := 1; ; attempt++ {
		err := try(old)
		if err == nil || !isContention(err) {
			return err
		}
		if attempt == publishAttempts || vain == vainAttempts {
			return fmt.Errorf("publish, %d attempts: %w", attempt, err)
		}
		select {
		case <-time.After(rand.N(pause)):
		case <-ctx.Done():
			return fmt.Errorf("publish: %w, after: %w", context.Cause(ctx), err)
		}
		pause = min(2*pause, maxPause)
		before := old.version
		conflict := errors.Is(err, backend.ErrConflict)
		if old, err = p.manifests.fetch(ctx, p.manifests.fetchRoster); err != nil && old.Manifest == nil {
			return fmt.Errorf("publish: %w", err)
		}
		if vain++; !conflict || old.version != before {
			vain = 0
		}
	}
}

// isContention reports whether err says that others publish at the same time.
func isContention(err error) bool {
	var busy *backend.Busy
	return errors.Is(err, backend.ErrConflict) || errors.As(err, &busy) && busy.Object
}

// try publishes r, unless others have published since old was read.
func (p *publisher) try(ctx context.Context, old published, r session.Record) (rest session.Record, err error) {
	d := p.draft(old, r)
	for d.needed {
		if len(d.fresh) > 0 && !old.packsAreLent() { // otherwise it has just read their manifest
			from := p.latestLender(ctx)
			d.borrow(from)
			if p.compactsAlong() {
				d.follow(from)
			}
		}
		if !p.lookAfter(ctx, d, r) {
			break
		}
		d = p.draft(old, r)
	}
	p.saved = Saved{Used: d.used, New: d.added, Published: p.saved.Published}
	if !d.needed {
		if !old.packsAreLent() && !old.newer {
			p.current = old
		}
		return rest, nil
	}
	postponed := d.postpone()
	for _, u := range r.Uses {
		if postponed[u.Action] {
			rest.Uses = append(rest.Uses, u)
		}
	}
	return rest, p.write(ctx, d)
}

// write puts a draft into the remote.
func (p *publisher) write(ctx context.Context, d *draft) error {
	if p.compactsAlong() {
		d.repack(d.stale())
	}
	if err := d.pack(ctx); err != nil {
		return err
	}
	if p.manifests.remote.store.Traits().Scarce {
		ctx = backend.Patient(ctx, manifestPatience) // or the pack was written for nothing
	}
	written, err := p.manifests.publish(ctx, d.old, &d.next)
	if written {
		p.current = published{Manifest: &d.next, name: manifestName(p.manifests.profile)}
	}
	if err != nil {
		return err
	}
	p.saved.Published = true
	p.newDay = p.newDay || d.today > d.old.Today
	p.Stats.count(func(s *Summary) { s.Published += int64(d.added) })
	return nil
}

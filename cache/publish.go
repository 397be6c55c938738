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

	firstPause = 20 * time.Millisecond
	maxPause   = time.Second
)

// publisher brings a profile's manifest up to date with what sessions used, and puts
// what the manifest lacks into a pack.
type publisher struct {
	Config
	manifests *manifests
	elsewhere map[protocol.ActionID]protocol.OutputID // what other scopes name
	withheld  *withheld
	marked    map[protocol.ActionID]bool // actions of which an entry is withheld
	session   *session.Session           // has room for packs on their way out
	now       pack.Day                   // by the clock of this machine

	packed map[protocol.ActionID]packing // what this publisher has packed
	saved  Saved
}

// packing says where a pack holds an entry.
type packing struct {
	output protocol.OutputID
	pack   pack.Pack
	offset int64
	length int64
}

// newPublisher returns a publisher into l, whose manifests hold found.
func newPublisher(l *library, found *holdings, w *withheld, s *session.Session, now time.Time) *publisher {
	return &publisher{
		Config:    l.written.remote.Config,
		manifests: l.written,
		elsewhere: found.elsewhere(),
		withheld:  w,
		marked:    w.actions(),
		session:   s,
		now:       pack.DayOf(now),
		packed:    make(map[protocol.ActionID]packing),
	}
}

// publish brings the manifest up to date with r. It writes nothing if the manifest
// has all of r, as used today. old is the manifest as the session found it. If others
// have published since, publish merges theirs with r.
func (p *publisher) publish(ctx context.Context, old published, r session.Record) error {
	pause := firstPause
	for attempt := 1; ; attempt++ {
		err := p.try(ctx, old, r)
		if !isContention(err) {
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

// isContention reports whether err says that others publish at the same time.
func isContention(err error) bool {
	var busy *backend.Busy
	return errors.Is(err, backend.ErrConflict) || errors.As(err, &busy) && busy.Object
}

// try publishes r, unless others have published since old was read.
func (p *publisher) try(ctx context.Context, old published, r session.Record) error {
	d := p.draft(old, r)
	p.saved = Saved{Used: d.used, New: d.added}
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

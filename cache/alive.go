package cache

import (
	"context"
	"errors"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/pack"
	"github.com/larderbuild/larder/protocol"
	"github.com/larderbuild/larder/session"
)

// lookAfterDays returns how often a publication looks after a pack that its manifest goes on
// naming, in days of the manifest's calendar. A store that removes what nobody reads has it
// do so twice in the time after which that goes.
func (p *publisher) lookAfterDays() pack.Day {
	if unread := p.manifests.remote.store.Traits().UnreadDays; unread > 0 {
		return max(1, pack.Day(unread/2))
	}
	return 7
}

// lookAfter reads a byte of each pack of d whose day it is, or of which r says that something
// in it was misplaced. So a store that removes what is not read keeps them, though their
// archives may be given out by their heads alone. It reports whether a pack turns out to be
// gone: then d has to be drafted again, without it. Other errors don't matter. No pack is
// read twice by one publisher.
func (p *publisher) lookAfter(ctx context.Context, d *draft, r session.Record) (found bool) {
	var due []pack.Pack
	suspects := d.suspects(r)
	for _, one := range d.next.Packs {
		if _, seen := p.lost[one.ID]; !seen && (suspects[one.ID] || d.isDue(one)) {
			due = append(due, one)
		}
	}
	gone := make([]bool, len(due))
	var group errgroup.Group
	group.SetLimit(8)
	for i, one := range due {
		group.Go(func() error {
			gone[i] = p.isGone(ctx, one)
			return nil
		})
	}
	_ = group.Wait()
	for i, one := range due {
		p.lost[one.ID] = gone[i]
		found = found || gone[i]
	}
	return found
}

// isDue reports whether this publication looks after a pack. Each pack has its day, one of
// lookAfterDays, which the first publication on or after it sees to. So nobody has to note
// when a pack was read last. What the profile names from now on because a sibling does is
// looked after at once: the sibling may not have noticed yet that it is gone.
func (d *draft) isDue(p pack.Pack) bool {
	isNamed := func(before pack.Pack) bool { return before.ID == p.ID }
	if d.old.packsAreLent() || !p.Own && !slices.ContainsFunc(d.old.Packs, isNamed) {
		return true
	}
	since, days := d.old.Today, d.lookAfterDays()
	next := since + days - (since+pack.Day(p.ID[0]))%days // the pack's first day after since
	return next <= d.today
}

// suspects returns the packs in which the old manifest names what was misplaced.
func (d *draft) suspects(r session.Record) map[pack.ID]bool {
	misplaced := make(map[protocol.ActionID]bool)
	for _, u := range r.Uses {
		if u.Kind == session.Misplaced {
			misplaced[u.Action] = true
		}
	}
	suspects := make(map[pack.ID]bool)
	for i := range d.old.Entries {
		if e := &d.old.Entries[i]; e.InPack() && misplaced[e.Action] {
			suspects[d.old.Packs[e.Pack].ID] = true
		}
	}
	return suspects
}

// isGone reads a byte of a pack, and reports whether the store does not have it.
func (p *publisher) isGone(ctx context.Context, one pack.Pack) bool {
	body, _, err := p.manifests.remote.store.Get(ctx, packKey(one), backend.Range{Length: 1})
	if err == nil {
		_, err = body.Read(make([]byte, 1))
		body.Close()
	}
	return errors.Is(err, backend.ErrNotFound)
}

// isLost reports whether e, which the manifest with these packs names, lies in a pack that is
// gone.
func (d *draft) isLost(e *pack.Entry, packs []pack.Pack) bool {
	return e.InPack() && d.lost[packs[e.Pack].ID]
}

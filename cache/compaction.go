package cache

import (
	"cmp"
	"context"
	"slices"

	"github.com/larderbuild/larder/pack"
	"github.com/larderbuild/larder/protocol"
	"github.com/larderbuild/larder/session"
)

// limits are sizes in bytes of packs and of what is done with them.
type limits struct {
	pack       int64 // of the largest pack; a larger entry object has one of its own
	lowest     int64 // of the largest pack in the lowest tier
	compaction int64 // of what one compaction rewrites, at most
}

var usualLimits = limits{pack: 256 << 20, lowest: 1 << 20, compaction: 256 << 20}

const (
	// tierFactor is how many times as large the packs of a tier may be as those of the
	// tier below.
	tierFactor = 4

	// tierPacks is from how many packs on a tier is merged, with all below. They make a
	// pack of the tier above, or nearly. So a body is rewritten about once in each tier.
	tierPacks = 4
)

// compact merges small packs of the profile's own, and rewrites packs of which a third is of
// no use any more. It follows a publication, and readers can do without it. Of several
// processes one does it: the one that has the lease. What it has written is of use only once
// the manifest names it, so nothing is lost if it is killed, or if two do it all the same.
func (p *publisher) compact(ctx context.Context) {
	if !p.saved.Published || ctx.Err() != nil || p.compactsAlong() {
		return
	}
	if err := p.tryCompact(ctx); err != nil && ctx.Err() == nil {
		p.Log.Info("rewrite packs", "err", err)
	}
}

// compactsAlong reports whether publications rewrite packs themselves: a store that appends
// keeps what is replaced, so one pack and one manifest more would be left there each time,
// and a lease as well.
func (p *publisher) compactsAlong() bool { return p.manifests.remote.store.Traits().Appends }

func (p *publisher) tryCompact(ctx context.Context) error {
	old, err := p.manifests.load(ctx, false, p.manifests.fetchRoster)
	if err != nil || old.newer {
		return err
	}
	var from lenders
	if p.newDay && hasLent(old.Manifest) {
		names, err := p.siblingNames(ctx)
		if err == nil {
			from, err = p.lenders(ctx, names)
		}
		if err != nil {
			return err
		}
	}
	d := p.draft(old, session.Record{})
	moved := d.follow(from)
	stale := d.stale()
	if len(stale) == 0 && !moved {
		return nil
	}
	held, err := p.manifests.takeLease(ctx)
	if err != nil || held == nil {
		return err
	}
	defer held.release(ctx)
	p.places = make(map[protocol.ActionID]placement) // what lies in stale packs is not placed yet
	return p.contend(ctx, old, func(old published) error {
		d := p.draft(old, session.Record{})
		d.compacts = true
		moved := d.follow(from)
		if packed := d.repack(stale); old.newer || !packed && !moved {
			return nil // somebody else has done it
		}
		if err := d.pack(ctx); err != nil {
			return err
		}
		_, err := p.manifests.publish(ctx, d.old, &d.next)
		return err
	})
}

// stale returns the packs that a compaction is to rewrite.
func (d *draft) stale() map[pack.ID]bool {
	own := d.ownPacks()
	top := -1 // the highest tier that is merged
	counts := make(map[int]int)
	for _, p := range own {
		if p.isSmall {
			if counts[p.tier]++; counts[p.tier] >= tierPacks {
				top = max(top, p.tier)
			}
		}
	}
	limit := d.limits.compaction
	if d.room > 0 {
		limit = min(limit, d.room)
	}
	var chosen []ownPack
	var sum int64
	for _, p := range own {
		if !p.isWasteful && (!p.isSmall || p.tier > top) {
			continue
		}
		if sum += p.used; sum > limit {
			break
		}
		chosen = append(chosen, p)
	}
	if len(chosen) == 1 && !chosen[0].isWasteful {
		return nil // one pack in place of one is no gain
	}
	stale := make(map[pack.ID]bool)
	for _, p := range chosen {
		stale[p.ID] = true
	}
	return stale
}

// ownPack is a pack of a draft that the profile has written.
type ownPack struct {
	pack.Pack
	used       int64 // bytes of the pack that are of use
	tier       int   // by used; 0: the lowest
	isSmall    bool  // several of its kind may make one
	isWasteful bool  // a third is of no use
}

// ownPacks returns the profile's own packs, those first of which the least is of use. It leaves
// out a pack with a body that is larger than this session may unpack.
func (d *draft) ownPacks() []ownPack {
	used := make([]int64, len(d.next.Packs))
	tooLarge := make([]bool, len(d.next.Packs)) // to be unpacked here
	for i := range d.next.Entries {
		if e := &d.next.Entries[i]; e.InPack() {
			used[e.Pack] += e.Length
			tooLarge[e.Pack] = tooLarge[e.Pack] || e.Size > d.MaxObject
		}
	}
	var own []ownPack
	for i, p := range d.next.Packs {
		if !p.Own || tooLarge[i] {
			continue
		}
		o := ownPack{Pack: p, used: used[i], isSmall: used[i] <= d.limits.pack/2, isWasteful: p.Size-used[i] > p.Size/3}
		for size := o.used; size > d.limits.lowest; size /= tierFactor {
			o.tier++
		}
		own = append(own, o)
	}
	slices.SortStableFunc(own, func(a, b ownPack) int { return cmp.Compare(a.used, b.used) })
	return own
}

// repack takes the entries out of stale packs: they lie where they were packed meanwhile, or
// are to be packed. It reports whether there were any.
func (d *draft) repack(stale map[pack.ID]bool) (found bool) {
	own := make(map[pack.ID]bool) // as the manifest stands now
	for _, p := range d.ownPacks() {
		own[p.ID] = true
	}
	for i := range d.next.Entries {
		e := &d.next.Entries[i]
		if !e.InPack() {
			continue
		}
		if id := d.next.Packs[e.Pack].ID; !stale[id] || !own[id] {
			continue
		}
		found = true
		if !d.place(e, d.places) {
			d.fresh = append(d.fresh, i)
		}
	}
	return found
}

package cache

import (
	"context"
	"errors"
	"slices"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/pack"
	"github.com/larderbuild/larder/protocol"
	"github.com/larderbuild/larder/session"
)

// lenders are siblings, as they were published last.
type lenders struct {
	complete  bool                            // the manifests of all could be read
	packed    map[protocol.ActionID]placement // what lies in packs
	owned     map[protocol.ActionID]placement // of this, what lies in packs of their own
	borrowers map[pack.ID]string              // of a pack that is lent to some of them: the first by name
}

// latestLender returns the sibling that was published last: a job of the same commit has
// most likely packed what this one has made, too. Without it everything is packed.
func (p *publisher) latestLender(ctx context.Context) lenders {
	names, err := p.siblingNames(ctx)
	var found lenders
	if err == nil {
		found, err = p.lenders(ctx, names[:min(1, len(names))])
		found.complete = false // it is one of several
	}
	if err != nil {
		p.Log.Info("look what siblings have packed", "err", err)
	}
	return found
}

// lenders returns the siblings of the given names. One that is gone, or whose manifest is of
// no use here, lends nothing.
func (p *publisher) lenders(ctx context.Context, names []string) (lenders, error) {
	found := lenders{
		complete:  true,
		packed:    make(map[protocol.ActionID]placement),
		owned:     make(map[protocol.ActionID]placement),
		borrowers: make(map[pack.ID]string),
	}
	for _, name := range names {
		other, _, err := p.manifests.get(ctx, manifestName(session.Profile{Module: p.manifests.profile.Module, Name: name}))
		switch {
		case errors.Is(err, backend.ErrNotFound):
		case refused(err), other.newer:
			found.complete = false
		case err != nil:
			return lenders{}, err
		default:
			found.add(name, p.manifests.scope, other.Manifest)
		}
	}
	return found, nil
}

// add adds the sibling of a name, whose manifest, in scope, is m.
func (l lenders) add(name, scope string, m *pack.Manifest) {
	for _, lent := range m.Packs {
		if first, known := l.borrowers[lent.ID]; !lent.Own && (!known || name < first) {
			l.borrowers[lent.ID] = name
		}
	}
	for i := range m.Entries {
		e := &m.Entries[i]
		if !e.InPack() || m.Packs[e.Pack].Scope != scope {
			continue
		}
		lent := m.Packs[e.Pack]
		lent.Own = false
		at := placement{e.Output, lent, e.Span, e.Time}
		if _, known := l.packed[e.Action]; !known {
			l.packed[e.Action] = at
		}
		if _, known := l.owned[e.Action]; !known && m.Packs[e.Pack].Own {
			l.owned[e.Action] = at
		}
	}
}

// hasLent reports whether m names packs that are lent.
func hasLent(m *pack.Manifest) bool {
	return slices.ContainsFunc(m.Packs, func(p pack.Pack) bool { return !p.Own })
}

// borrow has entries that are still to be packed lie where lenders have them, be it in packs
// of their own or not, so that each body is packed once.
func (d *draft) borrow(from lenders) {
	d.fresh = slices.DeleteFunc(d.fresh, func(i int) bool {
		e := &d.next.Entries[i]
		return !d.misplaced[e.Action] && d.place(e, from.packed)
	})
}

// follow has entries that are lent lie where their owners have them now, so that no pack
// lives on for what its owner has packed anew. A pack that nobody owns any more becomes the
// profile's own, unless another borrower's name comes first. follow reports whether it has
// changed anything.
func (d *draft) follow(from lenders) (changed bool) {
	owned := make(map[pack.ID]bool)
	for i := range d.next.Entries {
		e := &d.next.Entries[i]
		if !e.InPack() || d.next.Packs[e.Pack].Own {
			continue
		}
		before := e.Pack
		if d.place(e, from.owned) {
			changed = changed || e.Pack != before
			owned[d.next.Packs[e.Pack].ID] = true
		}
	}
	for i := range d.next.Packs {
		if !from.complete {
			break // the owner may be among those that could not be read
		}
		p := &d.next.Packs[i]
		first, isLent := from.borrowers[p.ID]
		if !p.Own && !owned[p.ID] && p.Scope == d.manifests.scope && (!isLent || d.manifests.profile.Name < first) {
			p.Own, changed = true, true
		}
	}
	return changed
}

// siblingNames returns the names of the siblings in the roster, the one that was published
// last first.
func (p *publisher) siblingNames(ctx context.Context) ([]string, error) {
	r, err := p.manifests.fetchRoster(ctx)
	return r.without(p.manifests.profile.Name), err
}

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

// lenders are other profiles of the module, as they were published last.
type lenders struct {
	owned map[protocol.ActionID]placement // what lies in packs of their own
}

// lenders returns the profile that was published last, if it is another one: a job of the
// same commit has most likely packed what this one has made, too. Without it everything is
// packed.
func (p *publisher) lenders(ctx context.Context) lenders {
	r, err := p.manifests.fetchRoster(ctx)
	if err == nil && len(r.profiles) > 0 && !r.begins(p.manifests.profile.Name) {
		var other published
		other, _, err = p.manifests.get(ctx, manifestName(session.Profile{Module: p.manifests.profile.Module, Name: r.profiles[0]}))
		if err == nil && !other.newer {
			return newLenders(p.manifests.scope, other.Manifest)
		}
	}
	if err != nil && !errors.Is(err, backend.ErrNotFound) {
		p.Log.Info("look what other profiles have packed", "err", err)
	}
	return lenders{}
}

// newLenders returns the profile of manifest m, in scope.
func newLenders(scope string, m *pack.Manifest) lenders {
	l := lenders{owned: make(map[protocol.ActionID]placement)}
	for i := range m.Entries {
		e := &m.Entries[i]
		if !e.InPack() || !m.Packs[e.Pack].Own || m.Packs[e.Pack].Scope != scope {
			continue
		}
		lent := m.Packs[e.Pack]
		lent.Own = false
		l.owned[e.Action] = placement{e.Output, lent, e.Offset, e.Length}
	}
	return l
}

// borrows reports whether it makes sense to ask lenders: something is to be packed, or is lent
// already. A profile that has not published yet has just read their manifest.
func (d *draft) borrows() bool {
	isLent := func(p pack.Pack) bool { return !p.Own }
	return !d.old.packsAreLent() && (len(d.fresh) > 0 || slices.ContainsFunc(d.next.Packs, isLent))
}

// borrow has entries lie in packs that lenders own: those that are still to be packed, so
// that each body is packed once, and those that are lent already, so that no pack lives on
// for an entry that its owner has packed elsewhere since.
func (d *draft) borrow(from lenders) {
	var fresh []int
	for _, i := range d.fresh {
		if e := &d.next.Entries[i]; d.misplaced[e.Action] || !d.place(e, from.owned) {
			fresh = append(fresh, i)
		}
	}
	d.fresh = fresh
	for i := range d.next.Entries {
		if e := &d.next.Entries[i]; e.InPack() && !d.next.Packs[e.Pack].Own {
			d.place(e, from.owned)
		}
	}
}

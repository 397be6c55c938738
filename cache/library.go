package cache

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/larderbuild/larder/pack"
	"github.com/larderbuild/larder/protocol"
	"github.com/larderbuild/larder/session"
)

// library is a profile's manifests, in the scope that is written and in those that are
// read. Where there are no entry objects, the manifests of its siblings belong to it, too.
type library struct {
	target  session.Target
	written *manifests   // in the scope that is written
	read    []*manifests // in the order of their scopes; written may be among them
}

func newLibrary(r *remote, target session.Target) *library {
	l := &library{target: target, written: newManifests(r, r.scope, target)}
	for _, scope := range r.read {
		m := l.written
		if scope != r.scope {
			m = newManifests(r, scope, target)
		}
		l.read = append(l.read, m)
	}
	return l
}

// holdings is what the manifests of a library name. It does not change once loaded.
type holdings struct {
	written published // in the scope that is written

	// merged names for each action what the first scope that is read names for
	// it, and then what the first sibling does. Its entries from own on are the
	// siblings'.
	merged *pack.Manifest
	own    int

	ofWritten  span // entries of written
	ofSiblings span // entries of siblings, in the scope that is written
}

// span is a part of a manifest's entries: from one index to before another.
type span struct{ from, to int }

func (s span) has(i int) bool { return s.from <= i && i < s.to }

// load loads all manifests at once, and then those of siblings: from the remote if they are
// to be fresh, or from the local copies of a moment ago. It tells complain of each that can't
// be had, and returns their errors. The others are in the holdings.
func (l *library) load(ctx context.Context, fresh bool, complain func(*manifests, error)) (holdings, error) {
	all := l.read
	if !slices.Contains(all, l.written) {
		all = append(slices.Clone(all), l.written)
	}
	// What others write counts as fresh for a moment longer where requests are scarce.
	others := fresh && !l.written.remote.store.Traits().Scarce
	isFresh := func(m *manifests) bool { return others || fresh && m == l.written }
	rosters := make(map[*manifests]rosterSource)
	for _, m := range all {
		load := sync.OnceValues(func() (roster, error) { return m.loadRoster(ctx, isFresh(m)) })
		rosters[m] = func(context.Context) (roster, error) { return load() }
		if l.hasSiblings() {
			go func() { _, _ = load() }() // siblings asks again, and waits
		}
	}
	found, err := loadAll(ctx, all, complain, func(m *manifests) (published, error) { return m.load(ctx, isFresh(m), rosters[m]) })
	siblings, errRosters := l.siblings(ctx, found, rosters)
	lent, errSiblings := loadAll(ctx, siblings, complain, func(m *manifests) (published, error) { return m.loadSibling(ctx, others) })
	h := l.merge(found[:len(l.read)], siblings, lent)
	h.written = found[slices.Index(all, l.written)]
	return h, errors.Join(err, errRosters, errSiblings)
}

// loadAll calls load for all of ms at once. It tells complain of each that can't be had,
// and returns their errors. A manifest that can't be had is empty.
func loadAll(ctx context.Context, ms []*manifests, complain func(*manifests, error), load func(*manifests) (published, error)) ([]published, error) {
	found := make([]published, len(ms))
	errs := make([]error, len(ms))
	var loads sync.WaitGroup
	for i, m := range ms {
		loads.Go(func() { found[i], errs[i] = load(m) })
	}
	loads.Wait()
	for i, m := range ms {
		if found[i].Manifest == nil {
			found[i].Manifest = new(pack.Manifest)
		}
		if errs[i] != nil && ctx.Err() == nil {
			complain(m, errs[i])
		}
	}
	return found, errors.Join(errs...)
}

// hasSiblings reports whether the manifests of siblings belong to the library.
func (l *library) hasSiblings() bool { return l.written.remote.PacksOnly }

// siblings returns the manifests of the siblings that the rosters of all scopes name and
// found does not hold: those of the scope that is read first, and of these the one that was
// published last, come first. Of a scope that is only written there are none.
func (l *library) siblings(ctx context.Context, found []published, rosters map[*manifests]rosterSource) (siblings []*manifests, err error) {
	if !l.hasSiblings() {
		return nil, nil
	}
	var errs []error
	for m, load := range rosters {
		_, err := load(ctx)
		errs = append(errs, err)
		if err != nil && ctx.Err() == nil {
			m.remote.complain("fetch the roster", key(m.scope, rosterName(m.profile.Module)), err)
		}
	}
	for i, m := range l.read {
		names, _ := rosters[m](ctx) // loaded by now
		for _, name := range names.without(m.profile.Name) {
			target := l.target
			target.Profile.Name = name
			if manifestName(target.Profile) != found[i].name {
				siblings = append(siblings, newManifests(m.remote, m.scope, target))
			}
		}
	}
	return siblings[:min(len(siblings), maxRoster)], errors.Join(errs...)
}

// loadToPublish loads all manifests, for a publication. It fails if the one that is to
// be written can't be had. One that is there and is no good can be replaced.
func (l *library) loadToPublish(ctx context.Context, fresh bool) (holdings, error) {
	var missing error
	h, _ := l.load(ctx, fresh, func(m *manifests, err error) {
		if m == l.written && !refused(err) {
			missing = err
		}
	})
	return h, errors.Join(missing, context.Cause(ctx))
}

// merge puts together what found, the manifests of the scopes that are read, and lent,
// those of the siblings, name.
func (l *library) merge(found []published, siblings []*manifests, lent []published) holdings {
	if only := found[0]; len(found) == 1 && len(lent) == 0 && !l.reachesOut(only.Manifest) {
		h := holdings{merged: only.Manifest, own: len(only.Entries)}
		if l.read[0] == l.written {
			h.ofWritten.to = h.own
		}
		return h
	}
	h := holdings{merged: new(pack.Manifest)}
	seen := make(map[protocol.ActionID]bool)
	for i, one := range found {
		taken := h.take(l.written.remote, one, seen)
		h.merged.Eager = append(h.merged.Eager, one.Eager...)
		if l.read[i] == l.written {
			h.ofWritten = taken
		}
	}
	h.own = len(h.merged.Entries)
	for i, one := range lent { // those of one scope stand together
		taken := h.take(l.written.remote, one, seen)
		if siblings[i].scope != l.written.scope {
			continue
		}
		if h.ofSiblings == (span{}) {
			h.ofSiblings.from = taken.from
		}
		h.ofSiblings.to = taken.to
	}
	return h
}

// take takes into h what one names for actions that are not among seen, and returns where it
// stands. Who may write a manifest has no say in which scopes of r are read.
func (h *holdings) take(r *remote, one published, seen map[protocol.ActionID]bool) span {
	packs, from := len(h.merged.Packs), len(h.merged.Entries)
	h.merged.Packs = append(h.merged.Packs, one.Packs...)
	for _, e := range one.Entries {
		if seen[e.Action] || e.InPack() && !slices.Contains(r.read, one.Packs[e.Pack].Scope) {
			continue
		}
		seen[e.Action] = true
		e.Pack += packs // of no meaning where it is in none
		h.merged.Entries = append(h.merged.Entries, e)
	}
	return span{from, len(h.merged.Entries)}
}

// reachesOut reports whether m names packs of scopes that are not read.
func (l *library) reachesOut(m *pack.Manifest) bool {
	return slices.ContainsFunc(m.Packs, func(p pack.Pack) bool { return !slices.Contains(l.written.remote.read, p.Scope) })
}

// elsewhere returns what the scopes that are only read name, by action. The scope that is
// written need not name it, too.
func (h *holdings) elsewhere() map[protocol.ActionID]protocol.OutputID {
	if h.merged == nil || h.ofWritten == (span{0, len(h.merged.Entries)}) {
		return nil
	}
	outputs := make(map[protocol.ActionID]protocol.OutputID)
	for i := range h.merged.Entries {
		if e := &h.merged.Entries[i]; !h.ofWritten.has(i) && !h.ofSiblings.has(i) {
			outputs[e.Action] = e.Output
		}
	}
	return outputs
}

// lendable is what siblings name in packs of the scope that is written. A profile whose
// session uses it names it there, too.
type lendable struct {
	entries map[protocol.ActionID]*pack.Entry
	packs   []pack.Pack
}

// lendable returns what siblings can lend to a profile that writes scope. A pack of another
// scope is of no use to those who do not read that.
func (h *holdings) lendable(scope string) lendable {
	if h.ofSiblings == (span{}) {
		return lendable{}
	}
	l := lendable{make(map[protocol.ActionID]*pack.Entry), h.merged.Packs}
	for i := h.ofSiblings.from; i < h.ofSiblings.to; i++ {
		if e := &h.merged.Entries[i]; !e.InPack() || l.packs[e.Pack].Scope == scope {
			l.entries[e.Action] = e
		}
	}
	return l
}

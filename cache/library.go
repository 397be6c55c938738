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
// read.
type library struct {
	written *manifests   // in the scope that is written
	read    []*manifests // in the order of their scopes; written may be among them
}

func newLibrary(r *remote, target session.Target) *library {
	l := &library{written: newManifests(r, r.scope, target)}
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
	// it. Its entries between from and to are those of written.
	merged   *pack.Manifest
	from, to int
}

// load loads all manifests at once: from the remote if they are to be fresh, or from the
// local copies of a moment ago. It tells complain of each that can't be had, and returns
// their errors. The others are in the holdings.
func (l *library) load(ctx context.Context, fresh bool, complain func(*manifests, error)) (holdings, error) {
	all := l.read
	if !slices.Contains(all, l.written) {
		all = append(slices.Clone(all), l.written)
	}
	found := make([]published, len(all))
	errs := make([]error, len(all))
	var loads sync.WaitGroup
	for i, m := range all {
		loads.Go(func() { found[i], errs[i] = m.load(ctx, fresh) })
	}
	loads.Wait()
	for i, m := range all {
		if found[i].Manifest == nil {
			found[i].Manifest = new(pack.Manifest)
		}
		if errs[i] != nil && ctx.Err() == nil {
			complain(m, errs[i])
		}
	}
	h := l.merge(found[:len(l.read)])
	h.written = found[slices.Index(all, l.written)]
	return h, errors.Join(errs...)
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

// merge puts together what the manifests of the scopes that are read name.
func (l *library) merge(found []published) holdings {
	if len(found) == 1 && !l.reachesOut(found[0].Manifest) {
		h := holdings{merged: found[0].Manifest}
		if l.read[0] == l.written {
			h.to = len(h.merged.Entries)
		}
		return h
	}
	h := holdings{merged: new(pack.Manifest)}
	seen := make(map[protocol.ActionID]bool)
	for i, one := range found {
		h.merged.Eager = append(h.merged.Eager, one.Eager...)
		packs := len(h.merged.Packs)
		h.merged.Packs = append(h.merged.Packs, one.Packs...)
		from := len(h.merged.Entries)
		for _, e := range one.Entries {
			if seen[e.Action] || e.InPack() && !l.reads(one.Packs[e.Pack].Scope) {
				continue
			}
			seen[e.Action] = true
			e.Pack += packs // of no meaning where it is in none
			h.merged.Entries = append(h.merged.Entries, e)
		}
		if l.read[i] == l.written {
			h.from, h.to = from, len(h.merged.Entries)
		}
	}
	return h
}

// reachesOut reports whether m names packs of scopes that are not read. Who may write
// a manifest has no say in which scopes are read.
func (l *library) reachesOut(m *pack.Manifest) bool {
	return slices.ContainsFunc(m.Packs, func(p pack.Pack) bool { return !l.reads(p.Scope) })
}

// reads reports whether scope is read.
func (l *library) reads(scope string) bool {
	return slices.ContainsFunc(l.read, func(m *manifests) bool { return m.scope == scope })
}

// isOfWritten reports whether entry i of merged is of the scope that is written.
func (h *holdings) isOfWritten(i int) bool { return h.from <= i && i < h.to }

// elsewhere returns what the scopes that are only read name, by action. The scope
// that is written need not name it, too.
func (h *holdings) elsewhere() map[protocol.ActionID]protocol.OutputID {
	if h.merged == nil || h.from == 0 && h.to == len(h.merged.Entries) {
		return nil
	}
	outputs := make(map[protocol.ActionID]protocol.OutputID)
	for i := range h.merged.Entries {
		if e := &h.merged.Entries[i]; !h.isOfWritten(i) {
			outputs[e.Action] = e.Output
		}
	}
	return outputs
}

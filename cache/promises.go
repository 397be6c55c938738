package cache

import (
	"errors"

	"github.com/larderbuild/larder/modindex"
	"github.com/larderbuild/larder/pack"
	"github.com/larderbuild/larder/protocol"
	"github.com/larderbuild/larder/session"
)

// errNotPromised says that no manifest names an action, or that its entry could not
// be brought.
var errNotPromised = errors.New("not in the manifest")

// promises are what the manifests name that a session has loaded. They are made
// once and never change, so that they may be read from many goroutines.
type promises struct {
	holdings
	index map[protocol.ActionID]int // in merged.Entries
	isNew bool                      // the remote has no manifest of the module
}

// newPromises returns the promises of h. complete says that all manifests could be
// loaded, so that what is not there does not exist.
func newPromises(h holdings, complete bool) *promises {
	p := &promises{holdings: h, index: make(map[protocol.ActionID]int, len(h.merged.Entries))}
	for i := range h.merged.Entries {
		p.index[h.merged.Entries[i].Action] = i
	}
	p.isNew = complete && h.written.version == "" && len(h.merged.Entries) == 0
	return p
}

// entry returns what is promised for action, or nil.
func (p *promises) entry(action protocol.ActionID) *pack.Entry {
	i, promised := p.index[action]
	if !promised {
		return nil
	}
	return &p.merged.Entries[i]
}

// mayBeIndex reports whether action may be that of a module index, as far as the manifests
// tell.
func (p *promises) mayBeIndex(action protocol.ActionID) bool {
	e := p.entry(action)
	return e == nil || modindex.KindOf(e.Inline) != modindex.None
}

// refusals returns, of the promised entries that were refused, those that the
// profile's own manifest names and that are not among uses. A use puts the manifest
// right; these have to leave it.
func (p *promises) refusals(refused []int, uses []session.Use) (leaving []session.Use) {
	used := make(map[protocol.ActionID]bool, len(uses))
	for _, u := range uses {
		used[u.Action] = true
	}
	for _, i := range refused {
		if action := p.merged.Entries[i].Action; p.ofWritten.has(i) && !used[action] {
			leaving = append(leaving, session.Use{Action: action, Kind: session.Refused})
		}
	}
	return leaving
}

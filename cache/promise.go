package cache

import (
	"context"
	"errors"
	"time"

	"github.com/larderbuild/larder/pack"
	"github.com/larderbuild/larder/protocol"
)

// errNotPromised says that the manifest does not name an action.
var errNotPromised = errors.New("not in the manifest")

// promise returns what the manifest names for action, once it is loaded. The
// error wraps errNotPromised if that is nothing.
func (p *prefetch) promise(ctx context.Context, action protocol.ActionID) (*pack.Entry, error) {
	select {
	case <-p.loaded:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	i, promised := p.index[action]
	if !promised {
		return nil, errNotPromised
	}
	return &p.found.Entries[i], nil
}

// await waits until e, which the manifest promises, is in the local tier. The
// error wraps errNotPromised if it can't be brought.
func (p *prefetch) await(ctx context.Context, e *pack.Entry) error {
	i := p.index[e.Action]
	if !e.InPack() && p.claim(i) {
		err := p.putInline(e)
		p.installed(i, err)
		return err
	}
	if e.Head != nil && p.lazy != nil {
		p.lazy.end() // bring it
	}
	for {
		s, settled := p.look(i)
		switch s {
		case here, brought:
			return nil
		case forfeited:
			return errNotPromised
		}
		var poll <-chan time.Time
		if settled == nil { // another process fetches it
			if _, _, err := p.local.Get(e.Action); err == nil {
				return nil
			}
			poll = time.After(followInterval)
		}
		select {
		case <-settled:
		case <-poll:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// look returns the state of entry i and, if this process is to bring it, what
// is closed when the state has changed; it is then brought next.
func (p *prefetch) look(i int) (state, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.states[i]
	if s == here || s == brought || s == forfeited || !p.leading {
		return s, nil
	}
	p.promote(i)
	if p.waiting[i] == nil {
		p.waiting[i] = make(chan struct{})
	}
	return s, p.waiting[i]
}

// hit returns what the manifest promises for action, if anything, and whether a
// local hit for it is owed to the prefetch.
func (p *prefetch) hit(action protocol.ActionID) (e *pack.Entry, owed bool) {
	i, promised := p.find(action)
	if !promised {
		return nil, false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.states[i]
	return &p.found.Entries[i], s == brought || s == bringing // and not settled yet
}

// holds reports whether the manifest names output for action, as far as is
// known intact.
func (p *prefetch) holds(action protocol.ActionID, output protocol.OutputID) bool {
	i, promised := p.find(action)
	if !promised || p.found.Entries[i].Output != output {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.states[i] != forfeited
}

// supersede says that the build has put action itself: what the manifest
// promises for it must not take its place.
func (p *prefetch) supersede(action protocol.ActionID) {
	i, promised := p.find(action)
	if !promised {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.states[i] == absent || p.states[i] == brought {
		p.states[i] = here
	}
}

// find returns the index of action's entry, if the manifest is known yet and
// names it.
func (p *prefetch) find(action protocol.ActionID) (i int, promised bool) {
	if !p.known() {
		return 0, false
	}
	i, promised = p.index[action]
	return i, promised
}

// known reports whether it is known what the manifest promises.
func (p *prefetch) known() bool {
	if p == nil {
		return false
	}
	select {
	case <-p.loaded:
		return true
	default:
		return false
	}
}

// misplaced reports whether the manifest names action but its entry could not
// be brought.
func (p *prefetch) misplaced(action protocol.ActionID) bool {
	i, promised := p.find(action)
	p.mu.Lock()
	defer p.mu.Unlock()
	return promised && p.states[i] == forfeited
}

// refusals returns the entries of the written scope that were refused and are not
// among uses, which are put right by being used: they are to leave the manifest.
func (p *prefetch) refusals(uses []use) (dropped []use) {
	used := make(map[protocol.ActionID]bool, len(uses))
	for _, u := range uses {
		used[u.action] = true
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, i := range p.refused {
		if action := p.found.Entries[i].Action; p.isOwn(i) && !used[action] {
			dropped = append(dropped, use{action: action, dropped: true})
		}
	}
	return dropped
}

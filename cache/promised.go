package cache

import (
	"context"
	"crypto/sha256"

	"github.com/larderbuild/larder/pack"
	"github.com/larderbuild/larder/protocol"
	"github.com/larderbuild/larder/session"
)

// promised is a session's part that deals with what manifests promise: the prefetch
// brings it, or, in a lazy session, the go command is given heads of it.
type promised struct {
	*prefetch
	lazy    *lazyFiles        // nil: the session is not lazy
	command [sha256.Size]byte // of SessionConfig
	links   bool              // of SessionConfig
	linger  bool              // of SessionConfig
}

func newPromised(cfg SessionConfig, r *remote, s *session.Session) *promised {
	p := &promised{
		prefetch: newPrefetch(r, newLibrary(r, cfg.Target)),
		command:  cfg.Command,
		links:    cfg.Links,
		linger:   cfg.Linger,
	}
	if cfg.Lazy != nil && s != nil {
		p.lazy = newLazyFiles(*cfg.Lazy, s.LazyDir(), cfg.Stats)
		r.complaints.lazy.Store(true)
	}
	return p
}

// eagerCommand returns the digest of the session's command line, if that is known.
func (p *promised) eagerCommand() [][sha256.Size]byte {
	if p.command == [sha256.Size]byte{} {
		return nil
	}
	return [][sha256.Size]byte{p.command}
}

// run loads the manifests and brings what they promise, until all is here or ctx is
// done. In a lazy session archives wait until bytes are needed.
func (p *promised) run(ctx context.Context) {
	loaded := p.load(ctx)
	p.remote.reach.settle()
	if _, reads := loaded.merged.FindEager(p.command); reads && p.lazy != nil {
		p.lazy.becomeEager()
	}
	p.demands.begin(ctx)
	p.begin(loaded)
	if p.lazy != nil {
		p.bring(ctx, func(e *pack.Entry) bool { return e.InPack() && e.Head == nil })
		select {
		case <-p.lazy.eager:
		case <-ctx.Done():
			return
		}
	}
	p.bring(ctx, everything)
	p.persist(ctx)
}

// give gives e out lazily, if the session is lazy and e allows it, and returns the
// path of its file.
func (p *promised) give(e *pack.Entry) (path string, ok bool) {
	if p.lazy == nil || e.Size > p.MaxObject || isHomebound(e.Action, e.Inline) {
		return "", false
	}
	return p.lazy.give(e)
}

// wait returns once e is in the local tier; see prefetch.wait. If e is an archive, a
// lazy session becomes eager.
func (p *promised) wait(ctx context.Context, e *pack.Entry) error {
	if e.Head != nil && p.lazy != nil {
		p.lazy.becomeEager()
	}
	return p.prefetch.wait(ctx, e)
}

// named returns what is promised for action, or nil, and whether the local tier has it
// from the prefetch.
func (p *promised) named(action protocol.ActionID) (e *pack.Entry, byPrefetch bool) {
	i, ok := p.find(action)
	if !ok {
		return nil, false
	}
	s := p.states.get(i)
	return &p.merged.Entries[i], s == brought || s == bringing // then it may be installed already
}

// names reports whether a manifest names output for action. What is forfeited does not
// count; what a fault keeps away does.
func (p *promised) names(action protocol.ActionID, output protocol.OutputID) bool {
	i, ok := p.find(action)
	return ok && p.merged.Entries[i].Output == output && p.states.get(i) != forfeited
}

// misplaced reports whether a manifest names action but the store has no good entry
// there.
func (p *promised) misplaced(action protocol.ActionID) bool {
	i, ok := p.find(action)
	return ok && p.states.get(i) == forfeited
}

// unreached returns what is promised for action if a fault, or want of room, keeps it away,
// and otherwise nil.
func (p *promised) unreached(action protocol.ActionID) *pack.Entry {
	if p == nil {
		return nil
	}
	i, ok := p.find(action)
	if !ok || p.states.get(i) != unreached {
		return nil
	}
	return &p.merged.Entries[i]
}

// isVain reports whether entry i was asked for and could not be had.
func (p *promised) isVain(i int) bool {
	s := p.states.get(i)
	return s == unreached || s == forfeited
}

// supersede says that the build is putting action itself, so that the prefetch does not
// bring the entry any more, unless a goroutine is installing it already. The caller calls
// done with the outcome of the put. A get that waits for the entry goes on then.
func (p *promised) supersede(action protocol.ActionID) (done func(error)) {
	i, ok := p.find(action)
	kept := ok && p.states.happen(claimed, i)
	return func(err error) {
		switch i, ok := p.find(action); {
		case !ok:
		case err == nil:
			p.states.happen(superseded, i)
		case kept:
			p.states.happen(failed, i)
		}
	}
}

// find returns the index of what is promised for action, if the manifests are loaded
// and name it.
func (p *promised) find(action protocol.ActionID) (i int, ok bool) {
	known := p.known()
	if known == nil {
		return 0, false
	}
	i, ok = known.index[action]
	return i, ok
}

// bringLater reports whether the process in the background is to bring what the
// session did without.
func (p *promised) bringLater() bool { return p.linger && p.lazy != nil && p.lazy.sufficed() }

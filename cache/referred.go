package cache

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/entry"
	"github.com/larderbuild/larder/pack"
	"github.com/larderbuild/larder/protocol"
	"github.com/larderbuild/larder/session"
)

const (
	// maxReferred is how many manifests a session loads because referrals name them. There
	// is one for each profile of each module that has packages in common with this one.
	maxReferred = 32

	// referredFresh is how long a manifest serves that lacks what a referral refers to.
	// Then it is loaded again: others may have published since.
	referredFresh = 5 * time.Second
)

// referred has the manifests that referrals have named in this session. What they promise is
// brought on demand, as what siblings' manifests promise is: a build that needs one package
// out of another module's pack most likely needs more of them. Its methods may be called at
// the same time.
type referred struct {
	*remote
	background context.Context // of what is fetched
	target     session.Target
	own        *promised // nil: the session has no profile
	loads      singleflight.Group

	mu      sync.Mutex
	byKey   map[string]loaded
	all     []*prefetch                // in the order in which they were loaded
	counted map[protocol.ActionID]bool // hits that are not counted again
}

// loaded is a manifest that a referral has named, as it was loaded last.
type loaded struct {
	*prefetch
	at time.Time // zero: it may be a local copy
}

func newReferred(ctx context.Context, r *remote, target session.Target) *referred {
	return &referred{remote: r, background: ctx, target: target, byKey: make(map[string]loaded), counted: make(map[protocol.ActionID]bool)}
}

// find returns what a manifest that is loaded promises for action, and who brings it, or
// nil if none does.
func (r *referred) find(action protocol.ActionID) (*prefetch, *pack.Entry) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, p := range slices.Backward(r.all) {
		if e := p.entry(action); e != nil {
			return p, e
		}
	}
	return nil, nil
}

// count reports whether a hit of action is to be counted as one that a manifest has brought:
// once, and not after the build has put the action.
func (r *referred) count(action protocol.ActionID) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	before := r.counted[action]
	r.counted[action] = true
	return !before
}

// brought returns what a manifest that is loaded promises for action, if it was brought
// because of that and the hit is to be counted, and otherwise nil.
func (r *referred) brought(action protocol.ActionID) *pack.Entry {
	p, e := r.find(action)
	if e == nil || !r.count(action) {
		return nil
	}
	if s := p.states.get(p.index[action]); s != brought && s != bringing {
		return nil
	}
	return e
}

// bring brings action's entry to the local tier, as the manifest promises it to which
// reference refers in scope. If that does not promise it the error wraps backend.ErrNotFound,
// as it does if that is the session's own manifest, and has promised it in vain.
func (r *referred) bring(ctx context.Context, action protocol.ActionID, scope, reference string) (*pack.Entry, error) {
	if r.own != nil && reference == manifestName(r.target.Profile) {
		if i, promised := r.own.find(action); promised && r.own.isVain(i) {
			return nil, fmt.Errorf("%w: %s has promised it in vain", backend.ErrNotFound, key(scope, reference))
		}
	}
	p, err := r.load(ctx, scope, reference, false)
	if err == nil && p.entry(action) == nil {
		p, err = r.load(ctx, scope, reference, true)
	}
	if err != nil {
		return nil, err
	}
	e := p.entry(action)
	if e == nil {
		return nil, fmt.Errorf("%w: %s names it no longer", backend.ErrNotFound, key(scope, reference))
	}
	r.count(action)
	return e, p.insist(ctx, e)
}

// load loads the manifest to which reference refers in scope, if it is not loaded yet or, if
// it is to be fresh, was not a moment ago. One that is refused promises nothing.
func (r *referred) load(ctx context.Context, scope, reference string, fresh bool) (*prefetch, error) {
	key := key(scope, reference)
	found, err, _ := r.loads.Do(fmt.Sprint(fresh, key), func() (any, error) {
		r.mu.Lock()
		l, count := r.byKey[key], len(r.byKey)
		r.mu.Unlock()
		switch {
		case l.prefetch != nil && (!fresh || time.Since(l.at) < referredFresh):
			return l.prefetch, nil
		case l.prefetch == nil && count == maxReferred:
			return nil, fmt.Errorf("%w: %s is one manifest too many", backend.ErrNotFound, key)
		}
		target := r.target
		var err error
		if target.Profile, err = parseReference(scope, reference); err != nil {
			return nil, err
		}
		at := time.Time{}
		if fresh {
			at = time.Now()
		}
		found, err := newManifests(r.remote, scope, target).loadSibling(ctx, fresh)
		if refused(err) {
			at = time.Now()
		} else if err != nil {
			return nil, err
		}
		return r.add(key, found, at), err
	})
	if err != nil {
		return nil, err
	}
	return found.(*prefetch), nil
}

// add notes what found, the manifest at key, promises, and when it was loaded.
func (r *referred) add(key string, found published, at time.Time) *prefetch {
	h := holdings{merged: new(pack.Manifest)}
	if found.Manifest != nil { // nil: a later version's
		h.take(r.remote, found, make(map[protocol.ActionID]bool))
	}
	p := newPrefetch(r.remote, nil)
	p.demands.begin(r.background)
	p.begin(newPromises(h, false))
	r.mu.Lock()
	defer r.mu.Unlock()
	r.byKey[key] = loaded{p, at}
	r.all = append(r.all, p)
	return p
}

// wait waits until nothing is fetched any more. No get waits by then.
func (r *referred) wait() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, p := range r.all {
		p.demands.running.Wait()
	}
}

// findReferred returns what a manifest names for action that another action's referral has
// named.
func (c *Cache) findReferred(ctx context.Context, action protocol.ActionID) (hit, error) {
	p, e := c.lookups.referred.find(action)
	if e == nil {
		return hit{}, errNotPromised
	}
	err := c.lookups.ask(ctx, entryKey(c.lookups.scope, action), func(ctx context.Context) (saved time.Duration, err error) {
		return e.Cost, p.insist(ctx, e)
	})
	if err != nil {
		return hit{}, err
	}
	c.lookups.cold.note(true)
	found, err := c.lookups.locate(action)
	if !c.lookups.referred.count(action) {
		return hit{Entry: found}, err
	}
	return hit{found, fromLookup, e.Cost}, err
}

// parseReference returns the profile to whose manifest in scope reference refers. The error
// wraps backend.ErrNotFound if that is a manifest of another version of the format, and
// otherwise entry.ErrCorrupt.
func parseReference(scope, reference string) (session.Profile, error) {
	kind := ParseKey(key(scope, reference)).Kind
	if kind == OldManifest || kind == UnknownManifest {
		return session.Profile{}, fmt.Errorf("%w: %s, as far as this version of larder can tell", backend.ErrNotFound, key(scope, reference))
	}
	parts := strings.Split(reference, "/")
	if kind == Manifest {
		module, errModule := url.QueryUnescape(parts[2])
		profile, errProfile := url.QueryUnescape(parts[3])
		p := session.Profile{Module: module, Name: profile}
		if errModule == nil && errProfile == nil && manifestName(p) == reference {
			return p, nil
		}
	}
	return session.Profile{}, fmt.Errorf("%w: it refers to %q, which is no manifest", entry.ErrCorrupt, reference)
}

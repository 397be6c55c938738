package cache

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/larderbuild/larder/localdisk"
	"github.com/larderbuild/larder/protocol"
	"github.com/larderbuild/larder/session"
)

// Cache answers one session's requests from the local tier and the remote. It
// implements protocol.Handler.
type Cache struct {
	Config
	target   session.Target
	now      func() time.Time
	withheld *withheld
	session  *session.Session // nil: the local tier can't be written

	lookups    *lookups    // nil: there is no remote
	promised   *promised   // nil: there is no remote, or the build has no profile
	publishing *publishing // nil: the session writes nothing to the remote

	background context.Context // of the uploads and the prefetch; Close ends it
	stop       context.CancelFunc
	running    sync.WaitGroup
}

// New starts a session. The caller ends it with Close.
func New(cfg SessionConfig) *Cache {
	c := &Cache{Config: cfg.Config, target: cfg.Target, now: time.Now, withheld: newWithheld(cfg.Config)}
	c.background, c.stop = context.WithCancel(context.Background())
	var err error
	if c.session, err = session.New(c.Local.Path(), c.now()); err != nil {
		c.Log.Warn(fmt.Sprintf("%v; nothing is stored or uploaded", err))
	}
	if cfg.Store == nil {
		return c
	}
	remote := newRemote(cfg.Config, cfg.Store, cfg.Target)
	c.lookups = newLookups(c.background, remote, cfg.Budget)
	if cfg.Upload && c.session != nil {
		c.publishing = c.newPublishing(remote)
	}
	if c.publishing != nil && !cfg.Linger {
		c.startUploads()
	}
	if cfg.Target.Profile != (session.Profile{}) {
		c.promised = newPromised(cfg, remote, c.session)
		c.running.Go(func() { c.promised.run(c.background) })
	}
	return c
}

// source says where a hit was found.
type source uint8

const (
	fromLocalTier source = iota
	fromPrefetch
	fromLookup
)

// hit is an entry that answers a get.
type hit struct {
	protocol.Entry
	source source
	cost   time.Duration // to build the entry; 0: unknown
}

// Get answers from the local tier at once, and otherwise from the remote, from
// another goroutine.
func (c *Cache) Get(ctx context.Context, action protocol.ActionID, reply func(protocol.Entry, error)) {
	c.Stats.count(func(s *Summary) { s.Gets++ })
	found, err := c.findLocal(action)
	if err == nil || c.lookups == nil || c.lookups.budget.spent() && !c.gaveLazily() {
		c.answer(ctx, action, found, err, reply)
		return
	}
	c.lookups.running.Go(func() {
		found, err := c.findRemote(ctx, action)
		c.answer(ctx, action, found, err, reply)
		if errors.Is(err, errCold) {
			c.lookups.probe(ctx, action)
		}
	})
}

// answer counts what was found for action, or that nothing was, and replies. It is
// the only place where a get is answered.
func (c *Cache) answer(ctx context.Context, action protocol.ActionID, found hit, err error, reply func(protocol.Entry, error)) {
	if err != nil {
		c.passBarrier(ctx)
		c.countMiss(action)
		reply(protocol.Entry{}, fmt.Errorf("%w: %w", protocol.ErrMiss, err))
		return
	}
	c.countHit(action, found)
	reply(found.Entry, nil)
}

// findLocal finds action's entry in the local tier.
func (c *Cache) findLocal(action protocol.ActionID) (hit, error) {
	e, path, err := c.Local.Get(action)
	if err != nil {
		return hit{}, err
	}
	found := hit{Entry: protocol.Entry{OutputID: e.Output, Size: e.Size, Time: e.Time, DiskPath: path}}
	if c.promised == nil {
		return found, nil
	}
	if e, brought := c.promised.hit(action); e != nil {
		c.lookups.cold.hit(e)
		found.cost = e.Cost
		if brought {
			found.source = fromPrefetch
		}
	}
	return found, nil
}

// findRemote finds what the local tier does not have: what a manifest promises, once
// it is here, or what a lookup brings.
func (c *Cache) findRemote(ctx context.Context, action protocol.ActionID) (hit, error) {
	var known *promises
	if c.promised != nil {
		found, err := c.findPromised(ctx, action)
		if err == nil || c.lookups.budget.spent() {
			return found, err
		}
		known = c.promised.known()
	}
	if c.lookups.cold.skips(known) {
		return hit{}, errCold
	}
	if c.gaveLazily() {
		c.promised.lazy.end() // most likely something has changed: be ahead of the miss
	}
	found, err := c.lookups.lookup(ctx, action)
	return hit{found.Entry, fromLookup, found.cost}, err
}

// findPromised returns what a manifest promises for action: lazily, or once the
// prefetch has brought it.
func (c *Cache) findPromised(ctx context.Context, action protocol.ActionID) (found hit, err error) {
	err = c.lookups.ask(ctx, entryKey(c.lookups.scope, action), func(ctx context.Context) (saved time.Duration, err error) {
		known, err := c.promised.await(ctx)
		if err != nil {
			return 0, err
		}
		e := known.entry(action)
		if e == nil {
			return 0, errNotPromised
		}
		if path, ok := c.promised.give(e); ok {
			c.lookups.cold.hit(e)
			found = hit{protocol.Entry{OutputID: e.Output, Size: e.Size, Time: e.Time, DiskPath: path}, fromPrefetch, e.Cost}
			return e.Cost, nil
		}
		if err := c.promised.wait(ctx, e); err != nil {
			return 0, err
		}
		found, err = c.findLocal(action)
		return e.Cost, err
	})
	return found, err
}

// countHit counts a hit, and notes it for the manifest.
func (c *Cache) countHit(action protocol.ActionID, found hit) {
	c.Stats.count(func(s *Summary) {
		switch found.source {
		case fromLocalTier:
			s.LocalHits++
		case fromPrefetch:
			s.PrefetchHits++
			s.Saved += found.cost
		case fromLookup:
			s.RemoteHits++
			s.Saved += found.cost
		}
	})
	if c.publishing == nil || c.promised == nil {
		return
	}
	kind := session.Fetched
	if found.source == fromLocalTier {
		kind = session.Found
	}
	c.publishing.history.add(session.Use{Action: action, Output: found.OutputID, Cost: found.cost, Kind: kind})
}

// countMiss counts a miss, and notes its time for the cost of what will be put.
func (c *Cache) countMiss(action protocol.ActionID) {
	c.Stats.count(func(s *Summary) { s.Misses++ })
	if c.publishing != nil {
		c.publishing.costs.missed(action, c.now())
	}
}

// Put stores put in the local tier. Then it queues the upload, in the background.
func (c *Cache) Put(_ context.Context, put protocol.Put) (string, error) {
	c.Stats.count(func(s *Summary) { s.Puts++ })
	if c.promised != nil {
		c.promised.supersede(put.ActionID)
	}
	index, scan := &prefix{want: moduleIndex}, c.withheld.secrets.NewScan()
	path, err := c.Local.Put(localdisk.Entry{
		Action: put.ActionID,
		Output: put.OutputID,
		Size:   put.Size,
		Time:   c.now(),
	}, io.TeeReader(put.Body, io.MultiWriter(index, scan)))
	if err != nil {
		c.Log.Info("put", "action", put.ActionID, "err", err)
		return "", err
	}
	// Also where nothing is uploaded: a later session may do so.
	secret := c.withheld.check(scan, put.ActionID, put.OutputID)
	if secret == nil && c.publishing != nil && put.Size <= c.MaxObject {
		c.offer(put, index.found())
	}
	return path, nil
}

// offer has what was put go to the remote.
func (c *Cache) offer(put protocol.Put, isIndex bool) {
	p := c.publishing
	cost := p.costs.since(put.ActionID, c.now())
	if c.promised != nil {
		p.history.put(session.Use{Action: put.ActionID, Output: put.OutputID, Cost: cost, Kind: session.Made})
	}
	if isIndex {
		return // made anew for every checkout: nobody would look for this one
	}
	p.made.Store(true)
	// After each link the go command puts what the manifest has already.
	if c.promised != nil && c.promised.holds(put.ActionID, put.OutputID) {
		return
	}
	if err := p.uploads.add(session.Upload{Action: put.ActionID, Cost: cost}); err != nil {
		c.Log.Info("note a put in the journal", "action", put.ActionID, "err", err)
	}
}

// prefix is written a body, and tells whether that begins with want.
type prefix struct {
	want []byte
	seen []byte
}

func (p *prefix) Write(b []byte) (int, error) {
	p.seen = append(p.seen, b[:min(len(b), len(p.want)-len(p.seen))]...)
	return len(b), nil
}

func (p *prefix) found() bool { return bytes.Equal(p.seen, p.want) }

package cache

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/larderbuild/larder/localdisk"
	"github.com/larderbuild/larder/modindex"
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
	diskless sync.Once        // said that a put can't be stored

	lookups    *lookups    // nil: there is no remote
	promised   *promised   // nil: there is no remote, or the build has no profile
	publishing *publishing // nil: the session writes nothing to the remote

	background context.Context // of the uploads and the prefetch; Close ends it
	stop       context.CancelFunc
	running    sync.WaitGroup
}

// New starts a session. It tells Log what does not work, and goes on without it. The
// caller calls Close once, after the last Get has replied.
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
	remote.complaints.hourly = !cfg.Silent
	remote.reach = newReach(remote.memory, &cfg.Stats.Remote, c.now())
	if remote.without() {
		cfg.Budget, cfg.Lazy = 0, nil
	}
	c.lookups = newLookups(c.background, remote, cfg.Target, cfg.Budget)
	hasProfile := cfg.Target.Profile != (session.Profile{})
	if cfg.Upload && c.session != nil && (hasProfile || !cfg.PacksOnly) {
		c.publishing = c.newPublishing(remote, cfg.Transient)
	}
	if hasProfile && c.publishing != nil {
		c.publishing.uploads.expectPacks()
	}
	if hasProfile {
		c.promised = newPromised(cfg, remote, c.session)
		remote.referred.own = c.promised
	}
	if remote.without() {
		remote.sayWithout()
		return c
	}
	c.heedDenial()
	if c.publishing != nil && !cfg.Linger && !cfg.Defer {
		c.startUploads()
	}
	if c.promised != nil {
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

// Get replies once: from the local tier before it returns, otherwise from another
// goroutine. Its only error is a miss.
func (c *Cache) Get(ctx context.Context, action protocol.ActionID, reply func(protocol.Entry, error)) {
	c.Stats.count(func(s *Summary) { s.Gets++ })
	found, err := c.findLocal(action)
	// The barrier may take long, so where there is one a miss passes it on another
	// goroutine.
	if err == nil || c.lookups == nil || c.lookups.budget.spent() && !c.isLazy() {
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

// answer replies to a get; nothing else does. It lets a miss pass the barrier first, and
// counts.
func (c *Cache) answer(ctx context.Context, action protocol.ActionID, found hit, err error, reply func(protocol.Entry, error)) {
	if c.lookups != nil {
		c.lookups.kin.meet(action)
	}
	if err != nil {
		c.passBarrier(ctx)
		c.countMiss(action)
		reply(protocol.Entry{}, fmt.Errorf("%w: %w", protocol.ErrMiss, err))
		return
	}
	c.countHit(action, found)
	reply(found.Entry, nil)
}

// findLocal finds action's entry in the local tier. Once archives were given out lazily,
// what the go command would refuse is not found.
func (c *Cache) findLocal(action protocol.ActionID) (hit, error) {
	e, path, err := c.Local.Get(action)
	if err == nil && c.gaveLazily() {
		err = checkBody(e, path)
	}
	if err != nil {
		return hit{}, err
	}
	found := hit{Entry: located(e, path)}
	if c.lookups != nil {
		if cost, came := c.lookups.kin.take(action); came {
			found.source, found.cost = fromLookup, cost
		} else if e := c.lookups.referred.brought(action); e != nil && e.Output == found.OutputID {
			found.source, found.cost = fromLookup, e.Cost
		}
	}
	if c.promised == nil {
		return found, nil
	}
	if e, byPrefetch := c.promised.named(action); e != nil {
		c.lookups.cold.noteHit(e, path)
		found.cost = e.Cost
		if byPrefetch && e.Output == found.OutputID {
			found.source = fromPrefetch
		}
	}
	return found, nil
}

// located returns e, whose body is the file at path, as the go command is told it.
func located(e localdisk.Entry, path string) protocol.Entry {
	return protocol.Entry{OutputID: e.Output, Size: e.Size, Time: e.Time, DiskPath: path}
}

// findRemote finds what the local tier does not have: what a manifest promises, once
// it is here, or what a lookup brings.
func (c *Cache) findRemote(ctx context.Context, action protocol.ActionID) (hit, error) {
	if c.lookups.budget.spent() {
		return hit{}, errBudget
	}
	var known *promises
	if c.promised != nil {
		found, err := c.findPromised(ctx, action)
		if err == nil || c.lookups.budget.spent() {
			return found, err
		}
		known = c.promised.known()
	}
	if found, err := c.findAlone(ctx, action); err == nil || c.PacksOnly || c.lookups.budget.spent() {
		return found, err
	}
	if found, err := c.findReferred(ctx, action); err == nil || c.lookups.budget.spent() {
		return found, err
	}
	if c.lookups.cold.skips(action, known) {
		return hit{}, errCold
	}
	if c.gaveLazily() {
		c.promised.lazy.becomeEager() // most likely something has changed: be ahead of the miss
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
			c.lookups.cold.noteHit(e, path)
			found = hit{located(localEntry(e), path), fromPrefetch, e.Cost}
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

// findAlone finds what is promised for action and was not brought, because of a fault or for
// want of room.
func (c *Cache) findAlone(ctx context.Context, action protocol.ActionID) (hit, error) {
	e := c.promised.unreached(action)
	if e == nil || !e.InPack() || e.Size > c.MaxObject {
		return hit{}, errNotPromised
	}
	if err := c.retrievePacked(ctx, e)[e]; err != nil {
		return hit{}, err
	}
	found, err := c.lookups.locate(action)
	return hit{found, fromLookup, e.Cost}, err
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

// Put stores a body and its entry in the local tier. If a secret is in the body it marks
// the entry, otherwise it queues the upload. The error is that of the local tier.
func (c *Cache) Put(_ context.Context, put protocol.Put) (string, error) {
	c.Stats.count(func(s *Summary) { s.Puts++ })
	again := c.family(put)
	done := func(error) {}
	if c.promised != nil {
		done = c.promised.supersede(put.ActionID)
	}
	begin, scan := beginningOf{}, c.withheld.secrets.NewScan()
	body := &witness{Reader: put.Body}
	path, err := c.Local.Put(localdisk.Entry{
		Action: put.ActionID,
		Output: put.OutputID,
		Size:   put.Size,
		Time:   c.now(),
	}, io.TeeReader(body, io.MultiWriter(&begin, scan)))
	done(err)
	if err != nil {
		if body.broke() || errors.Is(err, localdisk.ErrContent) {
			c.Log.Info("put", "action", put.ActionID, "err", err)
		} else {
			c.complainOfDisk(err)
		}
		return "", err
	}
	if c.lookups != nil {
		c.lookups.kin.meet(put.ActionID)
		c.lookups.referred.count(put.ActionID)
	}
	// The mark is made even if this session uploads nothing: a later one may.
	secret := c.withheld.check(scan, put.ActionID, put.OutputID)
	isIndex := modindex.KindOf(begin) != modindex.None
	if !isIndex && c.lookups != nil {
		c.lookups.cold.loaded.Store(true)
	}
	staysHome := isHomeboundFile(put.ActionID, begin, path)
	if staysHome {
		c.Stats.countIndex()
	}
	if c.publishing == nil {
		return path, nil
	}
	cost, missed := c.publishing.costs.take(put.ActionID, c.now())
	if !isIndex {
		c.publishing.made.Store(true)
	}
	if secret == nil && put.Size <= c.MaxObject && !staysHome {
		c.offer(product{
			Upload:  session.Upload{Action: put.ActionID, Output: put.OutputID, Cost: cost},
			size:    put.Size,
			path:    path,
			isIndex: isIndex,
			hold:    c.holdFor(missed),
			again:   again,
		})
	}
	return path, nil
}

// complainOfDisk says, before the go command does, that a put can't be stored: what the go
// command makes of that may be that a package does not exist.
func (c *Cache) complainOfDisk(err error) {
	c.diskless.Do(func() {
		c.Log.Error(fmt.Sprintf("what the go command makes can't be stored, so its errors may mislead: %v; free some space, or set LARDER_DIR to another folder", err))
	})
}

// product is what a put has stored, and others may use.
type product struct {
	session.Upload
	size    int64
	path    string // of the body
	isIndex bool
	hold    time.Duration // of the upload
	again   []queued      // what goes out once more because of it
}

// offer notes p as a use, and queues its upload. An index is not uploaded alone: it travels
// with other entries. Where all entries do so, the journal keeps the use instead, in case
// that the session does not come to its end.
func (c *Cache) offer(p product) {
	use := session.Use{Action: p.Action, Output: p.Output, Cost: p.Cost, Kind: session.Made}
	if c.promised != nil {
		c.publishing.history.put(use)
	}
	// A command that links puts again, after each link, what the manifest names already.
	if c.promised != nil && c.promised.names(p.Action, p.Output) {
		return
	}
	switch {
	case c.PacksOnly:
		c.noteUse(use)
	case p.isIndex:
	case c.publishing.sieve != nil:
		c.offerLasting(queued{p.Upload, p.size}, p.path)
	case len(p.again) > 0:
		c.queueFamily(append([]queued{{p.Upload, p.size}}, p.again...))
	default:
		c.queueUpload(queued{p.Upload, p.size}, p.hold)
	}
}

// noteUse notes in the journal what the session has made.
func (c *Cache) noteUse(u session.Use) {
	if c.promised.misplaced(u.Action) {
		u.Kind = session.Misplaced
	}
	if err := c.publishing.journal.AddRecord(session.Record{Uses: []session.Use{u}}); err != nil {
		c.Log.Info("note a put in the journal", "action", u.Action, "err", err)
	}
}

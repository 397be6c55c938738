package cache

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/entry"
	"github.com/larderbuild/larder/localdisk"
	"github.com/larderbuild/larder/pack"
	"github.com/larderbuild/larder/protocol"
)

// Config says what a Cache is made of.
type Config struct {
	Local     *localdisk.Dir
	Store     backend.Store // nil: no remote. The Cache closes it.
	Target    Target        // where Store is, for the journal; and the scope and profile that are used
	Upload    bool          // whether puts go to the remote
	Later     bool          // uploads leave the build alone, and wait for Close or Flush
	Budget    time.Duration // what waiting for the remote may cost the build
	MaxObject int64         // bodies over it stay local, in bytes
	Lazy      *Lazy         // nil: archives are brought whether they are read or not
	Stats     *Stats
	Log       *slog.Logger // warnings are for the one who builds

	Policy Policy

	// Command is the digest of the command line, by which the manifest knows a
	// command that reads archives where nothing has changed, as one that links
	// does; zero where it is not known. Links says that each miss which no put
	// follows is a link.
	Command [sha256.Size]byte
	Links   bool
}

// Lazy is for a session whose go command, as long as every get is a hit, reads
// no more of an archive than its head.
type Lazy struct {
	// Rebuild has the go command build, without the remote, what the local
	// tier lacks. It is called, once at most, where the bytes of archives that
	// were given out can't be had otherwise.
	Rebuild func(context.Context) error

	// Abandon ends the go command, for a reason, where that did not help.
	Abandon func(error)

	// Later has Flush bring what the session did without.
	Later bool
}

// Cache answers one session's requests from the local tier and the remote. It
// implements protocol.Handler.
type Cache struct {
	local     *localdisk.Dir
	maxObject int64
	target    Target
	stats     *Stats
	log       *slog.Logger
	now       func() time.Time

	// What follows is nil without a remote.
	remote   *remote
	budget   *budget
	flights  singleflight.Group
	lookups  sync.WaitGroup
	cold     coldness
	degraded sync.Once

	// What follows is nil without a profile.
	library  *library
	prefetch *prefetch
	lazy     *lazyFiles // nil, too, where the session is not lazy
	links    bool

	withheld *withheld

	session *session // nil where the local tier can't be written
	journal *journal // nil, too, as long as nothing is to be left to Flush

	// What follows is nil where nothing is uploaded.
	uploads   *uploader
	uploading sync.Once
	costs     costs
	history   history
	made      atomic.Bool // something besides module indexes was put

	background context.Context // of the uploads and of the prefetch
	stop       context.CancelFunc
	running    sync.WaitGroup
}

// New starts a session. The caller ends it with Close.
func New(cfg Config) *Cache {
	c := &Cache{
		local:     cfg.Local,
		maxObject: cfg.MaxObject,
		target:    cfg.Target,
		stats:     cfg.Stats,
		log:       cfg.Log,
		now:       time.Now,
	}
	c.withheld = newWithheld(c.local, cfg.Policy, c.stats, c.log)
	c.background, c.stop = context.WithCancel(context.Background())
	var err error
	if c.session, err = newSession(c.local.Path(), c.now()); err != nil {
		c.log.Warn(fmt.Sprintf("%v; nothing is stored or uploaded", err))
	}
	if cfg.Store == nil {
		return c
	}
	c.remote = newRemote(cfg.Store, cfg.Target, cfg.Policy, cfg.Log)
	c.budget = newBudget(c.background, cfg.Budget)
	if cfg.Upload && c.session != nil {
		c.prepareUploads()
	}
	if c.uploads != nil && !cfg.Later {
		c.startUploads()
	}
	if cfg.Target.Profile != (Profile{}) {
		c.library = newLibrary(c.remote, cfg.Target, c.local.Path())
		c.prefetch = newPrefetch(c.local, c.remote, c.stats, c.maxObject)
		if cfg.Lazy != nil && c.session != nil {
			c.lazy = newLazyFiles(*cfg.Lazy, c.session.lazy(), c.stats)
		}
		c.prefetch.lazy, c.prefetch.command, c.links = c.lazy, cfg.Command, cfg.Links
		c.running.Go(func() { c.prefetch.run(c.background, c.library) })
	}
	return c
}

func (c *Cache) prepareUploads() {
	if err := c.createJournal(); err != nil {
		c.log.Warn(fmt.Sprintf("make the journal: %v; nothing is uploaded", err))
		return
	}
	c.uploads = newUploader(c.local, c.remote, c.session, c.journal, c.withheld, c.stats)
}

func (c *Cache) createJournal() (err error) {
	c.journal, err = createJournal(c.session.journal(), c.target, c.remote.Key != nil)
	return err
}

// startUploads begins with the uploads, unless that was done before.
func (c *Cache) startUploads() {
	c.uploading.Do(func() { c.running.Go(func() { c.uploads.run(c.background) }) })
}

// Get answers from the local tier at once, and otherwise from the remote, from
// another goroutine.
func (c *Cache) Get(ctx context.Context, action protocol.ActionID, reply func(protocol.Entry, error)) {
	c.stats.Gets.Add(1)
	found, err := c.getLocal(action)
	if err == nil {
		c.hitLocal(action)
		reply(found, nil)
		return
	}
	if c.remote == nil || c.budget.spent() && !c.lazy.any() {
		reply(protocol.Entry{}, c.miss(action, err))
		return
	}
	c.lookups.Go(func() { c.getRemote(ctx, action, reply) })
}

func (c *Cache) getLocal(action protocol.ActionID) (protocol.Entry, error) {
	e, path, err := c.local.Get(action)
	return protocol.Entry{OutputID: e.Output, Size: e.Size, Time: e.Time, DiskPath: path}, err
}

// getRemote answers a get that the local tier could not: with what the manifest
// promises, once it is there, or with what a lookup finds.
func (c *Cache) getRemote(ctx context.Context, action protocol.ActionID, reply func(protocol.Entry, error)) {
	found, err := c.await(ctx, action)
	if err == nil {
		reply(found, nil)
		return
	}
	if c.budget.spent() {
		c.replyMiss(ctx, action, err, reply)
		return
	}
	if c.cold.is(c.prefetch) {
		c.replyMiss(ctx, action, errCold, reply)
		if c.cold.probe() {
			c.cold.note(c.remote.has(ctx, c.want(action)))
		}
		return
	}
	if c.lazy.any() {
		c.lazy.end() // something has changed, most likely: be ahead of the miss
	}
	found, err = c.lookup(ctx, action)
	c.cold.note(err == nil)
	if err != nil {
		c.replyMiss(ctx, action, err, reply)
		return
	}
	c.stats.RemoteHits.Add(1)
	reply(found, nil)
}

// await returns action's entry as the manifest promises it: lazily, or once the
// prefetch has brought it.
func (c *Cache) await(ctx context.Context, action protocol.ActionID) (found protocol.Entry, err error) {
	if c.prefetch == nil {
		return found, errNotPromised
	}
	err = c.ask(ctx, entryKey(c.remote.scope, action), func(ctx context.Context) (saved time.Duration, err error) {
		e, err := c.prefetch.promise(ctx, action)
		if err != nil {
			return 0, err
		}
		if path, ok := c.lazy.give(e, c.maxObject); ok {
			found = c.hitLazily(e, path)
			return e.Cost, nil
		}
		if err := c.prefetch.await(ctx, e); err != nil {
			return 0, err
		}
		if found, err = c.getLocal(action); err == nil {
			c.hitLocal(action)
		}
		return e.Cost, err
	})
	return found, err
}

// ask runs f, which asks the remote about key, for no longer than the budget
// allows. What f returns is what it saved the build, if it did what it should.
func (c *Cache) ask(ctx context.Context, key string, f func(context.Context) (saved time.Duration, err error)) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(c.budget.ctx, func() { cancel(context.Cause(c.budget.ctx)) })()
	c.budget.begin()
	saved, err := f(ctx)
	if err != nil {
		saved = 0
		c.explain(ctx, key, err)
	}
	c.budget.end(saved)
	return err
}

// hitLazily counts a hit that is answered before its bytes are here.
func (c *Cache) hitLazily(e *pack.Entry, path string) protocol.Entry {
	c.stats.PrefetchHits.Add(1)
	c.stats.SavedNanos.Add(int64(e.Cost))
	c.cold.hit(e)
	c.used(e.Action, e.Cost, true)
	return protocol.Entry{OutputID: e.Output, Size: e.Size, Time: e.Time, DiskPath: path}
}

// hitLocal counts a hit that the local tier has answered, for whoever brought
// it there.
func (c *Cache) hitLocal(action protocol.ActionID) {
	if c.prefetch == nil {
		c.stats.LocalHits.Add(1)
		return
	}
	e, brought := c.prefetch.hit(action)
	var cost time.Duration
	if e != nil {
		cost = e.Cost
		c.cold.hit(e)
	}
	if brought {
		c.stats.PrefetchHits.Add(1)
		c.stats.SavedNanos.Add(int64(cost))
	} else {
		c.stats.LocalHits.Add(1)
	}
	c.used(action, cost, brought)
}

// used notes, for the manifest, that the build used action, of an entry that this
// session has verified or that was there.
func (c *Cache) used(action protocol.ActionID, cost time.Duration, verified bool) {
	if c.uploads != nil && c.prefetch != nil {
		c.history.add(action, cost, verified)
	}
}

// miss counts a miss and returns it, with its reason.
func (c *Cache) miss(action protocol.ActionID, reason error) error {
	c.stats.Misses.Add(1)
	if c.uploads != nil {
		c.costs.missed(action, c.now())
	}
	return fmt.Errorf("%w: %w", protocol.ErrMiss, reason)
}

// lookup asks the remote, once for all that ask for the same action at the same
// time, and for no longer than the budget allows.
func (c *Cache) lookup(ctx context.Context, action protocol.ActionID) (protocol.Entry, error) {
	found, err, _ := c.flights.Do(string(action[:]), func() (any, error) {
		var found protocol.Entry
		err := c.ask(ctx, entryKey(c.remote.scope, action), func(ctx context.Context) (saved time.Duration, err error) {
			explain := func(key string, err error) { c.explain(ctx, key, err) }
			found, saved, err = c.remote.fetch(ctx, c.local, c.want(action), explain)
			if err == nil {
				c.stats.SavedNanos.Add(int64(saved))
				c.used(action, saved, true)
			}
			return saved, err
		})
		return found, err
	})
	if err != nil {
		return protocol.Entry{}, err
	}
	return found.(protocol.Entry), nil
}

// want returns what an entry object of action must be.
func (c *Cache) want(action protocol.ActionID) entry.Want {
	return entry.Want{Action: action, MaxSize: c.maxObject, Trust: c.remote.Trust}
}

// explain says why a lookup came to nothing, where there is something to say.
func (c *Cache) explain(ctx context.Context, key string, err error) {
	switch {
	case errors.Is(err, backend.ErrNotFound), errors.Is(err, errNotPromised):
	case errors.Is(context.Cause(ctx), errBudget):
		c.degraded.Do(func() {
			c.remote.warn(fmt.Sprintf("%v: no more lookups there in this build", errBudget))
		})
	case ctx.Err() != nil: // the session is over
	default:
		c.stats.refuse(err)
		c.remote.complain("look up", key, err)
	}
}

// Put stores put in the local tier and, once that is done, queues its upload.
func (c *Cache) Put(_ context.Context, put protocol.Put) (string, error) {
	c.stats.Puts.Add(1)
	if c.prefetch != nil {
		c.prefetch.supersede(put.ActionID)
	}
	index, scan := &prefix{want: moduleIndex}, c.withheld.secrets.NewScan()
	path, err := c.local.Put(localdisk.Entry{
		Action: put.ActionID,
		Output: put.OutputID,
		Size:   put.Size,
		Time:   c.now(),
	}, io.TeeReader(put.Body, io.MultiWriter(index, scan)))
	if err != nil {
		c.log.Info("put", "action", put.ActionID, "err", err)
		return "", err
	}
	// Also where nothing is uploaded: a later session may.
	secret := c.withheld.check(scan, put.ActionID, put.OutputID)
	if secret == nil && c.uploads != nil && put.Size <= c.maxObject {
		c.offer(put, index.found())
	}
	return path, nil
}

// offer has what was put go to the remote.
func (c *Cache) offer(put protocol.Put, isIndex bool) {
	jb := job{action: put.ActionID, cost: c.costs.since(put.ActionID, c.now())}
	if c.prefetch != nil {
		c.history.put(jb)
	}
	if isIndex {
		return // made anew for every checkout: nobody would ask for this one
	}
	c.made.Store(true)
	// After each link the go command puts what is there already.
	if c.prefetch != nil && c.prefetch.holds(put.ActionID, put.OutputID) {
		return
	}
	if err := c.uploads.add(jb); err != nil {
		c.log.Info("note a put in the journal", "action", put.ActionID, "err", err)
	}
}

// prefix is written a body and tells whether it begins with want.
type prefix struct {
	want []byte
	seen []byte
}

func (p *prefix) Write(b []byte) (int, error) {
	p.seen = append(p.seen, b[:min(len(b), len(p.want)-len(p.seen))]...)
	return len(b), nil
}

func (p *prefix) found() bool { return bytes.Equal(p.seen, p.want) }

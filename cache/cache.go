package cache

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/localdisk"
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
	Stats     *Stats
	Log       *slog.Logger // warnings are for the one who builds
}

// Cache answers one session's requests from the local tier and the remote. It
// implements protocol.Handler.
type Cache struct {
	local     *localdisk.Dir
	maxObject int64
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
	manifests *manifests
	prefetch  *prefetch

	session *session // nil where the local tier can't be written

	// What follows is nil where nothing is uploaded.
	journal   *journal
	uploads   *uploader
	uploading sync.Once
	costs     costs
	history   history

	background context.Context // of the uploads and of the prefetch
	stop       context.CancelFunc
	running    sync.WaitGroup
}

// New starts a session. The caller ends it with Close.
func New(cfg Config) *Cache {
	c := &Cache{
		local:     cfg.Local,
		maxObject: cfg.MaxObject,
		stats:     cfg.Stats,
		log:       cfg.Log,
		now:       time.Now,
	}
	c.background, c.stop = context.WithCancel(context.Background())
	var err error
	if c.session, err = newSession(c.local.Path(), c.now()); err != nil {
		c.log.Warn(fmt.Sprintf("%v; nothing is stored or uploaded", err))
	}
	if cfg.Store == nil {
		return c
	}
	c.remote = &remote{store: cfg.Store, scope: cfg.Target.Scope, log: cfg.Log}
	c.budget = newBudget(c.background, cfg.Budget)
	if cfg.Upload && c.session != nil {
		c.prepareUploads(cfg.Target)
	}
	if c.uploads != nil && !cfg.Later {
		c.startUploads()
	}
	if cfg.Target.Profile != (Profile{}) {
		c.manifests = newManifests(c.remote, cfg.Target, c.local.Path())
		c.prefetch = newPrefetch(c.local, c.remote, c.stats, c.maxObject)
		c.running.Go(func() { c.prefetch.run(c.background, c.manifests) })
	}
	return c
}

func (c *Cache) prepareUploads(target Target) {
	var err error
	if c.journal, err = createJournal(c.session.journal(), target); err != nil {
		c.log.Warn(fmt.Sprintf("make the journal: %v; nothing is uploaded", err))
		return
	}
	c.uploads = newUploader(c.local, c.remote, c.session, c.journal, c.stats)
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
	if c.remote == nil || c.budget.spent() {
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
		reply(protocol.Entry{}, c.miss(action, err))
		return
	}
	if c.cold.is(c.isNew()) {
		reply(protocol.Entry{}, c.miss(action, errCold))
		if c.cold.probe() {
			c.cold.note(c.remote.has(ctx, action))
		}
		return
	}
	found, err = c.lookup(ctx, action)
	c.cold.note(err == nil)
	if err != nil {
		reply(protocol.Entry{}, c.miss(action, err))
		return
	}
	c.stats.RemoteHits.Add(1)
	reply(found, nil)
}

// await returns action's entry once the prefetch has brought it.
func (c *Cache) await(ctx context.Context, action protocol.ActionID) (protocol.Entry, error) {
	if c.prefetch == nil {
		return protocol.Entry{}, errNotPromised
	}
	ctx, cancel := c.withinBudget(ctx)
	defer cancel()
	c.budget.begin()
	cost, err := c.prefetch.await(ctx, action)
	c.budget.end(cost)
	if err != nil {
		c.explain(ctx, c.remote.entryKey(action), err)
		return protocol.Entry{}, err
	}
	found, err := c.getLocal(action)
	if err == nil {
		c.hitLocal(action)
	}
	return found, err
}

// isNew reports whether the remote is known to have no manifest of the module.
func (c *Cache) isNew() bool {
	if c.prefetch == nil {
		return false
	}
	found, known := c.prefetch.peek()
	return known && len(found.Entries) == 0
}

// hitLocal counts a hit that the local tier has answered, for whoever brought
// it there.
func (c *Cache) hitLocal(action protocol.ActionID) {
	if c.prefetch == nil {
		c.stats.LocalHits.Add(1)
		return
	}
	cost, brought := c.prefetch.hit(action)
	if brought {
		c.stats.PrefetchHits.Add(1)
		c.stats.SavedNanos.Add(int64(cost))
	} else {
		c.stats.LocalHits.Add(1)
	}
	c.used(action, cost)
}

// withinBudget returns ctx, but done, with errBudget, once the budget is spent.
func (c *Cache) withinBudget(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	unhook := context.AfterFunc(c.budget.ctx, func() { cancel(context.Cause(c.budget.ctx)) })
	return ctx, func() {
		unhook()
		cancel(nil)
	}
}

// used notes, for the manifest, that the build used action.
func (c *Cache) used(action protocol.ActionID, cost time.Duration) {
	if c.uploads != nil && c.prefetch != nil {
		c.history.add(action, cost)
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
		ctx, cancel := c.withinBudget(ctx)
		defer cancel()
		c.budget.begin()
		found, cost, err := c.remote.fetch(ctx, c.local, action, c.maxObject)
		c.budget.end(cost)
		if err != nil {
			c.explain(ctx, c.remote.entryKey(action), err)
			return found, err
		}
		c.stats.SavedNanos.Add(int64(cost))
		c.used(action, cost)
		return found, nil
	})
	if err != nil {
		return protocol.Entry{}, err
	}
	return found.(protocol.Entry), nil
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
		if corrupt(err) {
			c.stats.Corrupt.Add(1)
		}
		c.remote.complain("look up", key, err)
	}
}

// Put stores put in the local tier and, once that is done, queues its upload.
func (c *Cache) Put(_ context.Context, put protocol.Put) (string, error) {
	c.stats.Puts.Add(1)
	index := &prefix{want: moduleIndex}
	if c.prefetch != nil {
		c.prefetch.supersede(put.ActionID)
	}
	path, err := c.local.Put(localdisk.Entry{
		Action: put.ActionID,
		Output: put.OutputID,
		Size:   put.Size,
		Time:   c.now(),
	}, io.TeeReader(put.Body, index))
	if err != nil {
		c.log.Info("put", "action", put.ActionID, "err", err)
		return "", err
	}
	if c.uploads == nil || put.Size > c.maxObject {
		return path, nil
	}
	jb := job{action: put.ActionID, cost: c.costs.since(put.ActionID, c.now())}
	if c.prefetch != nil {
		c.history.put(jb)
	}
	// A module index is made anew for every checkout: nobody would ask for
	// this one. And after each link the go command puts what is there already.
	if index.found() || c.prefetch != nil && c.prefetch.holds(put.ActionID, put.OutputID) {
		return path, nil
	}
	if err := c.uploads.add(jb); err != nil {
		c.log.Info("note a put in the journal", "action", put.ActionID, "err", err)
	}
	return path, nil
}

// Close ends the session, after the build's last request. It spends at most
// wait on finishing the uploads and on publishing what the session used, and
// reports whether something is left to Flush.
func (c *Cache) Close(wait time.Duration) (left bool) {
	if c.remote != nil {
		c.lookups.Wait()
		c.budget.cancel(nil)
	}
	uses := c.usesToPublish()
	if c.uploads != nil && wait > 0 {
		c.startUploads()
		c.uploads.hurry()
		ctx, cancel := context.WithTimeout(c.background, wait)
		_ = c.uploads.wait(ctx) // what is not done in time is left
		if len(uses) > 0 && c.publish(ctx, uses) == nil {
			uses = nil
		}
		cancel()
	}
	c.stop()
	c.running.Wait()
	if c.uploads != nil {
		left = c.uploads.left() > 0 || len(uses) > 0
		err := c.journal.addUses(uses)
		if err = errors.Join(err, c.journal.close(left)); err != nil {
			c.log.Info("close the journal", "err", err)
		}
	}
	if c.session != nil {
		c.session.close()
	}
	if c.remote != nil {
		if err := c.remote.store.Close(); err != nil {
			c.log.Info("close the remote", "err", err)
		}
	}
	return left
}

// usesToPublish returns what the session used, if the manifest lacks any of it.
func (c *Cache) usesToPublish() []use {
	uses := c.history.all()
	if len(uses) == 0 {
		return nil
	}
	found, known := c.prefetch.peek()
	if !known && c.stats.Puts.Load() == 0 {
		return nil // nothing new, and no manifest to hold the rest against
	}
	var index map[protocol.ActionID]int
	if known {
		index = c.prefetch.index
	}
	for i := range uses {
		uses[i].misplaced = c.prefetch.misplaced(uses[i].action)
	}
	if !c.publisher().needed(found, uses, index) {
		return nil
	}
	return uses
}

func (c *Cache) publish(ctx context.Context, uses []use) error {
	found, known := c.prefetch.peek()
	if !known {
		var err error
		if found, err = c.manifests.fetch(ctx); err != nil && found.Manifest == nil {
			return err
		}
	}
	err := c.publisher().publish(ctx, found, uses)
	if err != nil && ctx.Err() == nil {
		c.remote.complain("publish", c.remote.key(c.manifests.profile.key()), err)
	}
	return err
}

func (c *Cache) publisher() *publisher {
	return newPublisher(c.local, c.manifests, c.maxObject, c.session.dir, c.now())
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

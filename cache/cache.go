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
	Target    Target        // where Store is, for the journal; and the scope that is used
	Upload    bool          // whether puts go to the remote
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
	remote  *remote
	budget  *budget
	flights singleflight.Group
	lookups sync.WaitGroup

	session  *session  // nil where the local tier can't be written
	uploads  *uploader // nil where nothing is uploaded
	journal  *journal
	stop     context.CancelFunc // ends the uploads
	stopped  chan struct{}      // closed when they have ended
	costs    costs
	degraded sync.Once // tells of a spent budget
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
	var err error
	if c.session, err = newSession(c.local.Path(), c.now()); err != nil {
		c.log.Warn(fmt.Sprintf("%v; nothing is stored or uploaded", err))
	}
	if cfg.Store == nil {
		return c
	}
	c.remote = &remote{store: cfg.Store, scope: cfg.Target.Scope, log: cfg.Log}
	c.budget = newBudget(context.Background(), cfg.Budget)
	if cfg.Upload && c.session != nil {
		c.startUploads(cfg.Target)
	}
	return c
}

func (c *Cache) startUploads(target Target) {
	var err error
	if c.journal, err = createJournal(c.session.journal(), target); err != nil {
		c.log.Warn(fmt.Sprintf("make the journal: %v; nothing is uploaded", err))
		return
	}
	c.uploads = newUploader(c.local, c.remote, c.session, c.journal, c.stats)
	ctx, stop := context.WithCancel(context.Background())
	c.stop, c.stopped = stop, make(chan struct{})
	go func() {
		defer close(c.stopped)
		c.uploads.run(ctx)
	}()
}

// Get answers from the local tier at once, and otherwise from the remote, from
// another goroutine.
func (c *Cache) Get(ctx context.Context, action protocol.ActionID, reply func(protocol.Entry, error)) {
	c.stats.Gets.Add(1)
	e, path, err := c.local.Get(action)
	if err == nil {
		c.stats.LocalHits.Add(1)
		reply(protocol.Entry{OutputID: e.Output, Size: e.Size, Time: e.Time, DiskPath: path}, nil)
		return
	}
	if c.remote == nil || c.budget.spent() {
		reply(c.miss(action, err))
		return
	}
	c.lookups.Go(func() {
		found, err := c.lookup(ctx, action)
		if err != nil {
			reply(c.miss(action, err))
			return
		}
		c.stats.RemoteHits.Add(1)
		reply(found, nil)
	})
}

func (c *Cache) miss(action protocol.ActionID, reason error) (protocol.Entry, error) {
	c.stats.Misses.Add(1)
	if c.uploads != nil {
		c.costs.missed(action, c.now())
	}
	return protocol.Entry{}, fmt.Errorf("%w: %w", protocol.ErrMiss, reason)
}

// lookup asks the remote, once for all that ask for the same action at the same
// time, and for no longer than the budget allows.
func (c *Cache) lookup(ctx context.Context, action protocol.ActionID) (protocol.Entry, error) {
	found, err, _ := c.flights.Do(string(action[:]), func() (any, error) {
		ctx, cancel := context.WithCancelCause(ctx)
		defer cancel(nil)
		defer context.AfterFunc(c.budget.ctx, func() { cancel(context.Cause(c.budget.ctx)) })()

		c.budget.begin()
		found, cost, err := c.remote.fetch(ctx, c.local, action, c.maxObject)
		c.budget.end(cost)
		c.stats.SavedNanos.Add(int64(cost))
		if err != nil {
			c.explain(ctx, action, err)
		}
		return found, err
	})
	if err != nil {
		return protocol.Entry{}, err
	}
	return found.(protocol.Entry), nil
}

// explain says why a lookup came to nothing, where there is something to say.
func (c *Cache) explain(ctx context.Context, action protocol.ActionID, err error) {
	switch {
	case errors.Is(err, backend.ErrNotFound):
	case errors.Is(context.Cause(ctx), errBudget):
		c.degraded.Do(func() {
			c.remote.warn(fmt.Sprintf("%v: no more lookups there in this build", errBudget))
		})
	case ctx.Err() != nil: // the session is over
	default:
		if corrupt(err) {
			c.stats.Corrupt.Add(1)
		}
		c.remote.complain("look up", action, err)
	}
}

// Put stores put in the local tier and, once that is done, queues its upload.
func (c *Cache) Put(_ context.Context, put protocol.Put) (string, error) {
	c.stats.Puts.Add(1)
	index := &prefix{want: []byte("go index v")}
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
	// A module index is made anew for every checkout: nobody would ask for
	// this one.
	if c.uploads == nil || put.Size > c.maxObject || index.found() {
		return path, nil
	}
	jb := job{action: put.ActionID, cost: c.costs.since(put.ActionID, c.now())}
	if err := c.uploads.add(jb); err != nil {
		c.log.Info("note a put in the journal", "action", put.ActionID, "err", err)
	}
	return path, nil
}

// Close ends the session, after the build's last request. It spends at most
// wait on finishing the uploads, and returns how many are left to Flush.
func (c *Cache) Close(wait time.Duration) (left int) {
	if c.remote != nil {
		c.lookups.Wait()
		c.budget.cancel(nil)
	}
	if c.uploads != nil {
		if wait > 0 {
			c.uploads.hurry()
			ctx, cancel := context.WithTimeout(context.Background(), wait)
			_ = c.uploads.wait(ctx) // what is not done in time is left
			cancel()
		}
		c.stop()
		<-c.stopped
		left = c.uploads.left()
		if err := c.journal.close(left); err != nil {
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

// costs remembers when actions were missed, to tell at their put what building
// them took.
type costs struct {
	mu    sync.Mutex
	times map[protocol.ActionID]time.Time
}

func (c *costs) missed(action protocol.ActionID, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.times == nil {
		c.times = make(map[protocol.ActionID]time.Time)
	}
	c.times[action] = now
}

// since returns the time since action was missed, or 0 if it was not.
func (c *costs) since(action protocol.ActionID, now time.Time) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	missed, ok := c.times[action]
	if !ok {
		return 0
	}
	delete(c.times, action)
	return max(0, now.Sub(missed))
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

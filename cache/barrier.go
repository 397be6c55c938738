package cache

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/pack"
	"github.com/larderbuild/larder/protocol"
)

// replyMiss answers a get that found nothing. A compiler, a linker or vet may
// follow, and read what was given out before: that is made whole first. Where it
// can't be, no answer would be right, and the go command has to end.
func (c *Cache) replyMiss(ctx context.Context, action protocol.ActionID, reason error, reply func(protocol.Entry, error)) {
	if err := c.makeWhole(ctx); err != nil && ctx.Err() == nil {
		c.lazy.abandoning.Do(func() { c.lazy.Abandon(err) })
		<-ctx.Done()
	}
	reply(protocol.Entry{}, c.miss(action, reason))
}

// makeWhole returns when all lazy files are whole. If there are any, no more are
// given out.
func (c *Cache) makeWhole(ctx context.Context) error {
	if !c.lazy.any() {
		return nil
	}
	given := c.lazy.end()
	c.lazy.filling.Do(func() { c.lazy.err = c.fill(ctx, given) })
	return c.lazy.err
}

// fill makes the lazy files of given whole: with what the prefetch brings; with
// what can be fetched one by one; and at last with what is built again.
func (c *Cache) fill(ctx context.Context, given []*pack.Entry) error {
	lacking, _ := c.fillEach(given, 1, func(e *pack.Entry) error {
		return c.ask(ctx, entryKey(c.remote.scope, e.Action), func(ctx context.Context) (saved time.Duration, err error) {
			return e.Cost, c.prefetch.await(ctx, e)
		})
	})
	lacking, err := c.fillEach(lacking, streams, func(e *pack.Entry) error { return c.fetchAlone(ctx, e) })
	if err == nil || ctx.Err() != nil {
		return err
	}
	c.remote.warn(fmt.Sprintf("%d archives that this build relies on can't be fetched, and are built again: %v", len(lacking), err))
	if err := c.lazy.Rebuild(ctx); err != nil {
		c.log.Info("build again", "err", err) // what counts is what came of it
	}
	_, err = c.fillEach(lacking, 1, func(*pack.Entry) error { return nil })
	return err
}

// fillEach fills the lazy files of entries, as many at once as limit says, with
// the bodies that bring has brought to the local tier. It returns those that it
// could not fill, and why not the first of them.
func (c *Cache) fillEach(entries []*pack.Entry, limit int, bring func(*pack.Entry) error) (lacking []*pack.Entry, first error) {
	errs := make([]error, len(entries))
	var group errgroup.Group
	group.SetLimit(limit)
	for i, e := range entries {
		group.Go(func() error {
			if errs[i] = bring(e); errs[i] == nil {
				errs[i] = c.lazy.fill(e, c.local)
			}
			return nil
		})
	}
	_ = group.Wait() // each has its own error
	for i, e := range entries {
		if errs[i] != nil {
			c.log.Debug("fill a lazy file", "action", e.Action, "err", errs[i])
			first = cmp.Or(first, errs[i])
			lacking = append(lacking, e)
		}
	}
	return lacking, first
}

// fetchAlone brings the body of e to the local tier, out of its pack or out of its
// entry object in whichever scope.
func (c *Cache) fetchAlone(ctx context.Context, e *pack.Entry) error {
	from := c.prefetch.found.Packs[e.Pack]
	err := c.retrieve(ctx, e, from.Scope, packKey(from), backend.Range{Offset: e.Offset, Length: e.Length})
	for _, scope := range c.remote.read {
		if err == nil {
			return nil
		}
		err = c.retrieve(ctx, e, scope, entryKey(scope, e.Action), backend.Range{})
	}
	return err
}

// retrieve brings the body of e from the entry object that lies at key, in scope.
func (c *Cache) retrieve(ctx context.Context, e *pack.Entry, scope, key string, part backend.Range) error {
	return c.ask(ctx, key, func(ctx context.Context) (saved time.Duration, err error) {
		object, _, err := c.remote.store.Get(ctx, key, part)
		if err != nil {
			return 0, err
		}
		defer object.Close()
		w := c.want(e.Action)
		w.Scope = scope
		body, err := openPromised(object, e, w)
		if err != nil {
			return 0, err
		}
		defer body.Close()
		if _, _, err := c.local.Get(e.Action); err == nil { // of what the build has put, say
			return e.Cost, c.local.PutBody(localEntry(e), body)
		}
		_, err = c.local.Put(localEntry(e), body) // for the next manifest, too
		return e.Cost, err
	})
}

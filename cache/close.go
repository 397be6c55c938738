package cache

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/larderbuild/larder/pack"
	"github.com/larderbuild/larder/protocol"
)

// Close ends the session, after the build's last request. It spends at most
// wait on finishing the uploads and on publishing what the session used, and
// reports whether something is left to Flush.
func (c *Cache) Close(wait time.Duration) (left bool) {
	if c.remote != nil {
		c.lookups.Wait()
		c.budget.cancel(nil)
	}
	news := c.news()
	if c.uploads != nil && wait > 0 {
		c.startUploads()
		c.uploads.hurry()
		ctx, cancel := context.WithTimeout(c.background, wait)
		_ = c.uploads.wait(ctx) // what is not done in time is left
		if len(news.uses) > 0 && c.publish(ctx, news) == nil {
			news.uses = nil
		}
		cancel()
	}
	c.stop()
	c.running.Wait()
	if c.session != nil {
		left = c.leave(news)
		c.session.close()
		sweepSessions(c.local.Path())
	}
	if c.remote != nil {
		if err := c.remote.store.Close(); err != nil {
			c.log.Info("close the remote", "err", err)
		}
	}
	return left
}

// leave leaves to Flush what is still to be done, by way of the journal.
func (c *Cache) leave(news record) (left bool) {
	fill := c.lazy.sufficed() && c.lazy.Later
	var err error
	if fill && c.journal == nil { // nothing is uploaded
		err = c.createJournal()
	}
	if c.journal == nil {
		return false
	}
	if len(news.uses) > 0 {
		err = errors.Join(err, c.journal.addRecord(news))
	}
	if fill {
		err = errors.Join(err, c.journal.addFill())
	}
	left = fill || len(news.uses) > 0 || c.uploads != nil && c.uploads.left() > 0
	if err = errors.Join(err, c.journal.close(left)); err != nil {
		c.log.Info("close the journal", "err", err)
	}
	return left
}

// news returns what the session used, if the manifest lacks any of it.
func (c *Cache) news() record {
	r := record{uses: c.vouched(c.history.all())}
	if len(r.uses) == 0 {
		return record{}
	}
	known := c.prefetch.known()
	if !known && c.stats.Puts.Load() == 0 {
		return record{} // nothing new, and no manifest to hold the rest against
	}
	if c.costs.unanswered() && (c.links || !c.made.Load()) {
		r.eager = c.prefetch.command
	}
	h := &holdings{own: published{Manifest: new(pack.Manifest)}}
	var index map[protocol.ActionID]int
	if known {
		h, index = &c.prefetch.holdings, c.prefetch.index
	}
	for i := range r.uses {
		r.uses[i].misplaced = c.prefetch.misplaced(r.uses[i].action)
	}
	r.uses = append(r.uses, c.prefetch.refusals(r.uses)...)
	if !c.publisher(h).needed(h, r, index) {
		return record{}
	}
	return r
}

// vouched returns those of uses that the session may sign, if it signs: an entry
// that was in the local tier is one only if the manifest, which is believed, has the
// same for its action.
func (c *Cache) vouched(uses []use) []use {
	if c.remote == nil || c.remote.Key == nil {
		return uses
	}
	return slices.DeleteFunc(slices.Clone(uses), func(u use) bool {
		if u.verified {
			return false
		}
		e, _, err := c.local.Get(u.action)
		return err != nil || !c.prefetch.holds(u.action, e.Output)
	})
}

func (c *Cache) publish(ctx context.Context, news record) error {
	h := &c.prefetch.holdings
	if !c.prefetch.known() {
		fetched, err := c.library.loadToPublish(ctx, (*manifests).fetch)
		if err != nil {
			return err
		}
		h = &fetched
	}
	err := c.publisher(h).publish(ctx, h.own, news)
	if err != nil && ctx.Err() == nil {
		c.remote.complain("publish", c.library.own.key(), err)
	}
	return err
}

func (c *Cache) publisher(h *holdings) *publisher {
	return newPublisher(c.local, c.library, h, c.withheld, c.maxObject, c.session.dir, c.now())
}

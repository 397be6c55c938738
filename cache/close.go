package cache

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/dustin/go-humanize"

	"github.com/larderbuild/larder/pack"
	"github.com/larderbuild/larder/session"
)

// Close ends the session, after the build's last request. It spends at most wait on
// finishing the uploads and on publishing what the session used, and a little more until
// the requests under way have ended. It reports whether something is left to [Flush].
func (c *Cache) Close(wait time.Duration) (left bool) {
	if c.lookups != nil {
		c.lookups.end()
	}
	if c.session != nil {
		c.session.Over()
	}
	news := c.news()
	if c.publishing != nil && wait > 0 && c.mayAnswer() {
		news = c.finish(wait, news)
	}
	c.stop()
	c.running.Wait()
	if c.promised != nil {
		c.promised.demands.running.Wait() // the gets, which begin fetches, have ended
	}
	if c.lookups != nil {
		c.lookups.referred.wait()
		c.concludeReach()
	}
	if c.session != nil {
		left = c.leave(news)
		c.session.Close()
		session.Sweep(c.Local.Path())
	}
	if c.lookups != nil {
		if err := c.lookups.store.Close(); err != nil {
			c.Log.Info("close the remote", "err", err)
		}
	}
	return left
}

// mayAnswer reports whether it makes sense to wait for the remote.
func (c *Cache) mayAnswer() bool {
	return !c.lookups.without() && !c.lookups.denies() && (c.lookups.reach.answered() || c.lookups.budget.patience() > 0)
}

// finish spends at most wait on the uploads and on publishing news. It returns what
// of news is still to be published.
func (c *Cache) finish(wait time.Duration, news session.Record) session.Record {
	ctx, cancel := context.WithTimeout(c.background, wait)
	defer cancel()
	defer c.lookups.reach.giveUp(c.lookups.budget.patience(), cancel).Stop()
	c.startUploads()
	uploads := c.publishing.uploads
	uploads.hurry()
	w := work{uploads, news, c.openToPublish}
	err := w.do(ctx)
	if err != nil && ctx.Err() == nil {
		c.lookups.complain("publish", c.promised.library.written.key(), err)
	}
	left, denied := uploads.left()
	unpublished := c.unpublished(w.record)
	timeIsUp := errors.Is(ctx.Err(), context.DeadlineExceeded)
	tooShort := ctx.Err() == nil && err == nil && denied == nil && unpublished > 0
	if (timeIsUp || tooShort) && left.entries+unpublished > 0 {
		c.lookups.warn(fmt.Sprintf("LARDER_CLOSE_TIMEOUT (%v) is over. Entries left to upload: %d (%s), to publish: %d. Set a longer time, or run larder flush at the end of the job",
			wait, left.entries, humanize.IBytes(uint64(left.bytes)), unpublished))
	}
	return w.record
}

// unpublished returns how many of r's entries no manifest names.
func (c *Cache) unpublished(r session.Record) (n int) {
	for _, u := range r.Uses {
		if u.Kind != session.Refused && !c.promised.names(u.Action, u.Output) {
			n++
		}
	}
	return n
}

// leave notes in the journal what is still to be done, for Flush. It reports whether
// there is anything that makes sense to try soon.
func (c *Cache) leave(news session.Record) (left bool) {
	bring := c.promised != nil && c.promised.bringLater()
	var journal *session.Journal
	var uploads remainder
	denied := false
	if c.publishing != nil {
		journal = c.publishing.journal
		uploads, _ = c.publishing.uploads.left()
		denied = c.lookups.denies()
	}
	var err error
	if bring && journal == nil { // the session writes nothing to the remote
		journal, err = c.createJournal()
	}
	if journal != nil {
		if len(news.Uses) > 0 || c.PacksOnly {
			err = errors.Join(err, journal.Published(news)) // in place of what each put has noted
		}
		if bring {
			err = errors.Join(err, journal.AddBring())
		}
		keep := bring || len(news.Uses) > 0 || uploads.entries > 0
		left = keep && (bring || !denied)
		err = errors.Join(err, journal.Close(keep))
	}
	if err != nil {
		c.Log.Info("leave what is to be done", "err", err)
	}
	return left
}

// news returns what the session used, if publishing that would write anything.
func (c *Cache) news() session.Record {
	if c.publishing == nil || c.promised == nil {
		return session.Record{}
	}
	r := session.Record{Uses: c.publishable(c.publishing.history.all())}
	known := c.promised.known()
	if len(r.Uses) == 0 || known == nil && c.Stats.Summary().Puts == 0 {
		return session.Record{} // nothing new, or no manifest to hold the rest against
	}
	if c.publishing.costs.unanswered() && (c.promised.links || !c.publishing.made.Load()) {
		r.Eager = c.promised.eagerCommand()
	}
	found := &holdings{written: published{Manifest: new(pack.Manifest)}}
	if known != nil {
		found = &known.holdings
		r.Uses = append(r.Uses, known.refusals(c.promised.states.refusals(), r.Uses)...)
	}
	for i := range r.Uses {
		if u := &r.Uses[i]; u.Kind != session.Refused && c.promised.misplaced(u.Action) {
			u.Kind = session.Misplaced
		}
	}
	if !c.publisher(found).draft(found.written, r).needed {
		return session.Record{}
	}
	return r
}

// publishable returns those of uses that the session may publish. Of what the local tier
// had before, a session that signs vouches only for what a manifest, which is believed,
// names with the same output. And no session replaces what a manifest names by another
// output that it has only found: two machines, each with an output of its own, would
// replace each other's for ever.
func (c *Cache) publishable(uses []session.Use) []session.Use {
	return slices.DeleteFunc(uses, func(u session.Use) bool {
		if u.Kind != session.Found || c.promised.names(u.Action, u.Output) {
			return false
		}
		e, _ := c.promised.named(u.Action)
		return c.Policy.Key != nil || e != nil && !c.promised.misplaced(u.Action)
	})
}

// openToPublish returns a publisher, and the manifest as this session knows it.
func (c *Cache) openToPublish(ctx context.Context) (*publisher, published, error) {
	var found *holdings
	if known := c.promised.known(); known != nil {
		found = &known.holdings
	} else {
		fetched, err := c.promised.library.loadToPublish(ctx, true)
		if err != nil {
			return nil, published{}, err
		}
		found = &fetched
	}
	return c.publisher(found), found.written, nil
}

// publisher returns a publisher over the manifests that hold found.
func (c *Cache) publisher(found *holdings) *publisher {
	return newPublisher(c.promised.library, found, c.withheld, c.session, c.now())
}

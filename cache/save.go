package cache

import (
	"context"
	"slices"
	"time"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/session"
)

// Saved counts what Save found.
type Saved struct {
	Used      int  // entries that the build used
	New       int  // of these, those that the manifest lacked
	Published bool // whether a manifest was written; if not, it had all that is worth it
}

// Save publishes what a build without larder used and made in the local tier, a
// GOCACHE, since [Restore] filled it. If none did, what was used within the last hour
// counts. What the manifest of target's profile lacks goes into a pack in store, in the
// order of its use. Entries become no entry objects: those are for lookups, which a
// build without larder has none of, and would cost a request each. The store stays
// open.
//
// Save knows what was used by the modification times of the action files, which the go
// command renews once they are an hour old. That is why Restore sets them back.
func Save(ctx context.Context, cfg Config, store backend.Store, target session.Target) (Saved, error) {
	now := time.Now()
	l := newLibrary(newRemote(cfg, store, target), target)
	restored, known := l.written.lastRestoration()
	if !known {
		restored.start = now
	}
	uses, err := usesSince(cfg, restored)
	if err != nil {
		return Saved{}, err
	}
	s, err := session.New(cfg.Local.Path(), now)
	if err != nil {
		return Saved{}, err
	}
	defer s.Close()
	found, err := l.loadToPublish(ctx, false)
	if err != nil {
		return Saved{}, errorLine("fetch the manifest", err)
	}
	p := newPublisher(l, &found, newWithheld(cfg), s, now)
	if _, err := p.publish(ctx, found.written, session.Record{Uses: uses}); err != nil {
		return p.saved, errorLine("publish", err)
	}
	p.compact(ctx)
	if len(restored.failed) > 0 { // the publication has put them right
		return p.saved, l.written.noteRestoration(restoration{start: restored.start})
	}
	return p.saved, nil
}

// usesSince returns what was used in the local tier since r.
func usesSince(cfg Config, r restoration) ([]session.Use, error) {
	actions, err := cfg.Local.UsedSince(r.start) // or up to an hour earlier
	if err != nil {
		return nil, err
	}
	var uses []session.Use
	for _, action := range actions {
		e, _, err := cfg.Local.Get(action)
		if err != nil {
			continue // the go command has removed it meanwhile
		}
		u := session.Use{Action: action, Output: e.Output, Kind: session.Found}
		if slices.Contains(r.failed, action) {
			u.Kind = session.Misplaced
		}
		uses = append(uses, u)
	}
	return uses, nil
}

package cache

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/localdisk"
	"github.com/larderbuild/larder/protocol"
)

// SaveConfig says what Save publishes, and where.
type SaveConfig struct {
	Local     *localdisk.Dir // a GOCACHE
	Store     backend.Store  // stays open
	Target    Target         // whose manifest is written; it has a profile
	MaxObject int64          // larger bodies stay local, in bytes
	Log       *slog.Logger

	Policy Policy

	// Planned and Done, where not nil, are told how many entries are about
	// to be packed, and of each that was. Both may be called again where
	// another job publishes at the same time.
	Planned func(entries int)
	Done    func()
}

// Saved counts what Save found.
type Saved struct {
	Used      int  // entries that the build used
	New       int  // of these, those that the manifest lacked
	Published bool // whether a manifest was written; if not, it had all that is worth it
}

// Save publishes what a build without larder used and made in a GOCACHE since
// [Restore] filled it, or, where none did, within the last hour. What the
// manifest lacks goes into a pack, in the order of its use. Entries become no
// entry objects: those are for lookups, which a build without larder has none
// of, and would cost a request each.
//
// It knows what was used by the action files' modification times, which the go
// command renews once they are an hour old; that is why Restore sets them back.
// Entries that were there before Restore, are not in the manifest and had been
// used within the hour count as used, too: it can't be told.
func Save(ctx context.Context, cfg SaveConfig) (Saved, error) {
	now := time.Now()
	l := newLibrary(newRemote(cfg.Store, cfg.Target, cfg.Policy, cfg.Log), cfg.Target, cfg.Local.Path())
	restored, marked := l.own.readMark()
	if !marked {
		restored.start = now
	}
	actions, err := cfg.Local.UsedSince(restored.start)
	if err != nil {
		return Saved{}, err
	}
	misplaced := make(map[protocol.ActionID]bool)
	for _, action := range restored.failed {
		misplaced[action] = true
	}
	uses := make([]use, len(actions))
	for i, action := range actions {
		uses[i] = use{action: action, misplaced: misplaced[action]}
	}

	session, err := newSession(cfg.Local.Path(), now)
	if err != nil {
		return Saved{}, err
	}
	defer session.close()
	found, err := l.loadToPublish(ctx, (*manifests).load)
	if err != nil {
		return Saved{}, fmt.Errorf("fetch the manifest: %w", err)
	}
	w := newWithheld(cfg.Local, cfg.Policy, new(Stats), cfg.Log)
	p := newPublisher(cfg.Local, l, &found, w, cfg.MaxObject, session.dir, now)
	if cfg.Planned != nil {
		p.planned = cfg.Planned
	}
	if cfg.Done != nil {
		p.done = cfg.Done
	}
	if err := p.publish(ctx, found.own, record{uses: uses}); err != nil {
		return p.saved, err
	}
	if marked && len(restored.failed) > 0 {
		// They have been put right.
		return p.saved, l.own.leaveMark(mark{start: restored.start})
	}
	return p.saved, nil
}

package cache

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/entry"
	"github.com/larderbuild/larder/protocol"
	"github.com/larderbuild/larder/session"
)

// lookups asks the remote for single entries, for as long as the build gains by it.
type lookups struct {
	*remote
	budget   *budget
	cold     coldness
	kin      *kin
	flights  singleflight.Group
	running  sync.WaitGroup // gets that wait for the remote, and probes
	degraded sync.Once      // said that the budget is spent
}

func newLookups(ctx context.Context, r *remote, target session.Target, limit time.Duration) *lookups {
	r.referred = newReferred(ctx, r, target)
	return &lookups{remote: r, budget: newBudget(ctx, limit), kin: newKin(r.Local)}
}

// end waits until no get waits for the remote any more, and ends the budget. The gets end
// with the contexts of their requests.
func (l *lookups) end() {
	l.running.Wait()
	l.budget.cancel(nil)
}

// ask runs f, which waits for the remote because of key, for no longer than the budget
// allows. f returns how much building its answer saves; that counts if f succeeds.
func (l *lookups) ask(ctx context.Context, key string, f func(context.Context) (saved time.Duration, err error)) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(l.budget.ctx, func() { cancel(context.Cause(l.budget.ctx)) })()
	l.budget.begin()
	saved, err := f(backend.Hurried(ctx))
	if err != nil {
		saved = 0
		l.explain(ctx, key, err)
	}
	l.budget.end(saved)
	return err
}

// lookup brings action's entry to the local tier. All who look up the same
// action at the same time share one request; only one of them is told what the
// entry cost to build, so that it is counted once.
func (l *lookups) lookup(ctx context.Context, action protocol.ActionID) (found fetched, err error) {
	entry, err, _ := l.flights.Do(string(action[:]), func() (any, error) {
		err := l.ask(ctx, entryKey(l.scope, action), func(ctx context.Context) (saved time.Duration, err error) {
			found, err = l.find(ctx, action)
			return found.cost, err
		})
		return found.Entry, err
	})
	l.reach.settle()
	l.cold.note(err == nil)
	if err != nil {
		return fetched{}, err
	}
	found.Entry = entry.(protocol.Entry)
	return found, nil
}

// find brings action's entry to the local tier. If the entry may ride in an object that was
// not asked for yet, find looks there first: nearly all that may, do. Otherwise the entry has
// an object of its own, and brings its riders along.
func (l *lookups) find(ctx context.Context, action protocol.ActionID) (fetched, error) {
	explain := func(key string, err error) { l.explain(ctx, key, err) }
	if parent, ok, asked := l.kin.parent(action); ok && !asked {
		_, _, _ = l.flights.Do("riders of "+string(parent[:]), func() (any, error) {
			l.kin.answered(parent, l.fetchRiders(ctx, parent, explain), true)
			return nil, nil
		})
		if e, err := l.locate(action); err == nil {
			cost, _ := l.kin.take(action)
			return fetched{Entry: e, cost: cost}, nil
		}
	}
	found, err := l.fetch(ctx, action, explain)
	l.kin.answered(action, found.riders, !found.more)
	return found, err
}

// probe asks the remote, for one in several gets that were not looked up, whether it has
// the action.
func (l *lookups) probe(ctx context.Context, action protocol.ActionID) {
	if l.cold.probe() {
		l.cold.note(l.has(backend.Hurried(ctx), action))
	}
}

// explain says why asking for key came to nothing, where there is something to say.
func (l *lookups) explain(ctx context.Context, key string, err error) {
	switch {
	case errors.Is(err, backend.ErrNotFound), errors.Is(err, errNotPromised), err == errHomebound:
	case errors.Is(err, entry.ErrTooLarge):
		l.Log.Info("left in the remote", "key", key, "err", err)
	case errors.Is(context.Cause(ctx), errBudget):
		l.degraded.Do(func() {
			l.warn(fmt.Sprintf("%v: no more lookups there in this build", errBudget))
		})
	case ctx.Err() != nil: // the session is over
	default:
		l.Stats.countRefusal(err)
		l.complain("look up", key, err)
	}
}

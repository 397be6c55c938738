package cache

import (
	"context"
	"errors"
	"sync"
	"time"
)

// errBudget is the cause with which waiting for the remote ends once the budget is spent.
var errBudget = errors.New("the remote takes longer than it saves")

// budget bounds the time that a session may lose by waiting for its remote.
//
// Time counts as lost while at least one get waits for the remote, however many do: the
// build can't have been held up for longer. A hit gives back the time that its entry took
// to build, divided by the number of gets that waited with it. So a session goes on asking
// a remote that is slow but worth it. A hit never gives back more than was lost, so a
// remote that stops answering after a thousand hits costs no more than one that never
// answered. Once the loss reaches the limit, all waiting ends and none begins again.
// Methods may be called at the same time.
type budget struct {
	ctx    context.Context // done, with errBudget as its cause, once spent
	cancel context.CancelCauseFunc
	limit  time.Duration

	mu      sync.Mutex
	lost    time.Duration // until since
	waiting int
	since   time.Time   // where waiting > 0
	timer   *time.Timer // fires when the limit would be reached
}

// newBudget returns a budget that ends with ctx at the latest. The caller calls
// cancel when done with it.
func newBudget(ctx context.Context, limit time.Duration) *budget {
	b := &budget{limit: limit}
	b.ctx, b.cancel = context.WithCancelCause(ctx)
	b.mu.Lock() // the timer may fire before it is in its place
	defer b.mu.Unlock()
	b.timer = time.AfterFunc(limit, b.check)
	b.arm() // a budget of nothing is spent now
	return b
}

// spent reports whether the loss has reached the limit.
func (b *budget) spent() bool { return b.ctx.Err() != nil }

// exhausted reports whether waiting for the remote has ended because the limit is reached.
func (b *budget) exhausted() bool { return context.Cause(b.ctx) == errBudget }

// patience returns how much longer the session may wait for a remote that has not
// answered at all: in all no longer than the limit, but long enough to hear from a remote
// that is well.
func (b *budget) patience() time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.count()
	return max(b.limit, silence) - b.lost
}

// begin notes that a get waits for the remote from now on.
func (b *budget) begin() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.count()
	b.waiting++
	b.arm()
}

// end notes that a get waits no longer, and how much building its answer saved.
func (b *budget) end(saved time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.count()
	b.lost = max(0, b.lost-saved/time.Duration(b.waiting))
	b.waiting--
	b.arm()
}

// check ends all waiting if the limit is reached.
func (b *budget) check() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.count()
	b.arm()
}

// count brings lost up to now.
func (b *budget) count() {
	now := time.Now()
	if b.waiting > 0 {
		b.lost += now.Sub(b.since)
	}
	b.since = now
}

// arm sets the timer to the moment at which the limit will be reached if no get ends
// before.
func (b *budget) arm() {
	b.timer.Stop()
	switch {
	case b.lost >= b.limit:
		b.cancel(errBudget)
	case b.waiting > 0:
		b.timer.Reset(b.limit - b.lost)
	}
}

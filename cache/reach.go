package cache

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/session"
)

const (
	// firstAbsence is how long sessions go without a remote from which nothing came
	// back. Each session that tries in vain doubles that, up to longestAbsence.
	firstAbsence   = 15 * time.Second
	longestAbsence = 10 * time.Minute

	// silence is how long a session must have lasted for its remote to be down
	// although no request has failed yet.
	silence = 3 * time.Second
)

// reach is what a session finds out about its remote: whether anything comes back from
// it. The next sessions of the same local tier remember that, and go without a remote
// that is down. When the time for that is over, one of them tries.
type reach struct {
	memory   session.Memory
	counters *backend.Counters
	begun    time.Time
	without  string // why the session goes without the remote; "": it does not

	release  func()      // of the claim to try
	settled  sync.Once   // what was found out is remembered
	hopeless atomic.Bool // the session has given up waiting for the first answer
}

func newReach(memory session.Memory, counters *backend.Counters, now time.Time) *reach {
	r := &reach{memory: memory, counters: counters, begun: now, release: func() {}}
	until := memory.Until(session.Down)
	if until.IsZero() {
		return r
	}
	if !memory.Known(session.Down) {
		release, ok := memory.Claim(session.Down)
		if !ok {
			r.without = "while another build tries it"
			return r
		}
		if until = memory.Until(session.Down); !memory.Known(session.Down) {
			r.release = release
			return r
		}
		release() // another build has just tried in vain
	}
	r.without = "until " + until.Format(time.TimeOnly)
	return r
}

// answered reports whether the remote has answered in this session.
func (r *reach) answered() bool { return r.counters.Snapshot().Answers > 0 }

// settle tells other sessions if the remote has answered.
func (r *reach) settle() {
	if !r.answered() {
		return
	}
	r.settled.Do(func() {
		r.memory.Forget(session.Down)
		r.release()
	})
}

// giveUp calls stop after d, unless the remote has answered by then.
func (r *reach) giveUp(d time.Duration, stop func()) *time.Timer {
	return time.AfterFunc(d, func() {
		if !r.answered() {
			r.hopeless.Store(true)
			stop()
		}
	})
}

// conclude ends what the session finds out. spent says that it has waited for the remote
// as long as it may. conclude reports whether the remote is down, and until when the next
// sessions go without it.
func (r *reach) conclude(spent bool) (until time.Time, down bool) {
	r.settle()
	r.settled.Do(func() {
		defer r.release()
		counts := r.counters.Snapshot()
		gaveUp := spent || r.hopeless.Load()
		if counts.Faults > 0 || gaveUp && counts.Requests > 0 && time.Since(r.begun) >= silence {
			until, _ = r.memory.NoteAgain(session.Down, r.begun, firstAbsence, longestAbsence)
			down = true
		}
	})
	return until, down
}

// without reports whether the session goes without the remote: it asks nothing, and
// leaves to its journal what it would write.
func (r *remote) without() bool { return r.reach != nil && r.reach.without != "" }

// sayWithout says that the session goes without the remote.
func (r *remote) sayWithout() {
	r.complaints.begun.Store(true)
	r.say(complaint{msg: fmt.Sprintf("no answer from %s in earlier builds. This one goes on without it %s; larder flush tries it at once", short(r.name), r.reach.without)})
}

// concludeReach says if the remote is down, or what else was to be said.
func (c *Cache) concludeReach() {
	r := c.lookups.remote
	until, down := r.reach.conclude(c.lookups.budget.exhausted())
	held := r.complaints.held.Load()
	switch {
	case down:
		why, args := "", []any(nil)
		if held != nil && held.err != nil {
			why, args = ": "+reason(held.err), held.args
		}
		r.say(complaint{
			msg:  warning(fmt.Sprintf("no answer from %s", short(r.name)), why, fmt.Sprintf(". Builds go on without it until %s; larder flush tries it at once", until.Format(time.TimeOnly))),
			args: args,
		})
	case held != nil:
		r.say(*held)
	}
}

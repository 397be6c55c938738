package cache

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/session"
)

const (
	// maxWarning is the length in bytes of the longest warning because of a remote.
	// With larder's name before it, it has 200.
	maxWarning = 200 - len("larder: ")

	// warnAgain is how long sessions of one local tier say nothing more of a remote,
	// once one has said something.
	warnAgain = time.Hour
)

// complaints are what a process says about its remote on stderr: one line.
type complaints struct {
	hourly bool // one line an hour, for all sessions of the same local tier
	begun  atomic.Bool
	held   atomic.Pointer[complaint] // is said by Close

	lazy      atomic.Bool // a lazy session has not passed its barrier yet
	abandoned atomic.Bool // the build ends for a reason that is said, and that is enough
}

// complaint is something to complain about.
type complaint struct {
	msg  string
	err  error // nil: msg says it all
	args []any
}

// complain reports a fault of the remote that was met at key.
func (r *remote) complain(op, key string, err error) {
	r.report(complaint{r.line(op, err), err, []any{"key", key, "err", err}})
}

// line returns what complain says.
func (r *remote) line(op string, err error) string {
	return warning(fmt.Sprintf("could not %s: ", op), reason(err), fmt.Sprintf(" (%s). %s", short(r.name), advice(err)))
}

// advice returns what to do about err.
func advice(err error) string {
	if errors.Is(err, backend.ErrDenied) {
		return "Check its credentials; builds go on without it"
	}
	return "Builds go on without it; LARDER_LOG=info says more"
}

// warn reports what is wrong with the remote.
func (r *remote) warn(msg string) { r.report(complaint{msg: msg}) }

// report makes a warning of a session's first complaint. The others are for those who
// look for them. As long as nothing came back from the remote, the first one waits for
// the end of the session, which may know better. In a lazy session it waits for the
// barrier, too.
func (r *remote) report(c complaint) {
	switch {
	case !r.complaints.begun.CompareAndSwap(false, true):
		r.Log.Info(c.msg, c.args...)
	case r.complaints.lazy.Load() || r.unanswered():
		r.complaints.held.Store(&c)
	default:
		r.say(c)
	}
}

// unanswered reports whether nothing came back from the remote in this session.
func (r *remote) unanswered() bool { return r.reach != nil && !r.reach.answered() }

// passed says that a lazy session has passed its barrier.
func (r *remote) passed() {
	r.complaints.lazy.Store(false)
	if r.unanswered() {
		return
	}
	if held := r.complaints.held.Swap(nil); held != nil {
		r.say(*held)
	}
}

// say says c on stderr, unless something was said a short time ago.
func (r *remote) say(c complaint) {
	level := slog.LevelWarn
	if r.complaints.abandoned.Load() || r.complaints.hourly && !r.memory.Once(session.Told, warnAgain) {
		level = slog.LevelInfo
	}
	r.Log.Log(context.Background(), level, warning("", c.msg, ""), c.args...)
}

// warning returns a warning that begins with head and ends with tail. Of what is between
// them it leaves out what does not fit.
func warning(head, middle, tail string) string {
	room := max(0, maxWarning-len(head)-len(tail))
	if len(middle) > room {
		const more = "…"
		middle = strings.ToValidUTF8(middle[:max(0, room-len(more))], "") + more
	}
	return head + middle + tail
}

// errorLine returns err, of a command, with a text that fits into one line after larder's
// name and the command's.
func errorLine(doing string, err error) error {
	const longestCommand = "restore: "
	text := warning(longestCommand+doing+": ", reason(err), "")
	return backend.Brief(text[len(longestCommand):], err)
}

// reason returns what err says, without the operation and the key.
func reason(err error) string {
	var at *backend.OpError
	if errors.As(err, &at) {
		err = at.Err
	}
	return err.Error()
}

// short returns the name of a remote, or the beginning of a long one.
func short(name string) string {
	const room = 50
	if len(name) <= room {
		return name
	}
	return strings.ToValidUTF8(name[:room], "") + "…"
}

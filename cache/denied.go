package cache

import (
	"errors"
	"fmt"
	"time"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/session"
)

const (
	// firstDenial is how long sessions write nothing to a scope that they may not
	// write. Each process that tries in vain doubles that, up to longestDenial.
	firstDenial   = time.Minute
	longestDenial = time.Hour
)

// errDeniedBefore is why a session writes nothing, although it has not tried.
var errDeniedBefore = fmt.Errorf("%w in earlier builds", backend.ErrDenied)

// denies reports whether the remote has denied a moment ago, to this session or to
// another one, what it wanted to write to the scope.
func (r *remote) denies() bool { return r.writing.Known(session.Denied) }

// heedDenial has the session write nothing, and says so, if the remote has denied that to
// earlier ones. What it would write is left to the journal.
func (c *Cache) heedDenial() {
	if c.publishing == nil || !c.lookups.denies() {
		return
	}
	c.publishing.uploads.giveUp(errDeniedBefore)
	r := c.lookups.remote
	r.warn(fmt.Sprintf("%s takes no uploads: access denied. Check its credentials, or set LARDER_READONLY=true; builds upload nothing until %s, and larder flush tries at once",
		short(r.name), r.writing.Until(session.Denied).Format(time.TimeOnly)))
}

// noteDenial tells other sessions that the remote has denied what this process, which began
// at since, wanted to write.
func (r *remote) noteDenial(since time.Time) {
	if _, err := r.writing.NoteAgain(session.Denied, since, firstDenial, longestDenial); err != nil {
		r.Log.Info("remember that uploads are denied", "err", err)
	}
}

// remember tells other sessions whether the remote takes what is written. published says
// that it has taken a manifest, and err is the error of the publication.
func (w *work) remember(published bool, err error) {
	switch {
	case errors.Is(err, backend.ErrDenied):
		w.uploads.noteDenial(w.uploads.begun)
	case published || w.uploads.succeed():
		w.uploads.writing.Forget(session.Denied)
	}
}

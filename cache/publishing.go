package cache

import (
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/larderbuild/larder/protocol"
	"github.com/larderbuild/larder/session"
)

// publishing is a session's part that writes to the remote.
type publishing struct {
	journal *session.Journal
	uploads *uploader
	sieve   *sieve    // nil: the session is not transient
	begun   sync.Once // the uploads
	costs   costs
	history history
	made    atomic.Bool // something besides module indexes was put
}

// newPublishing returns nil, and says why, if the journal can't be written.
func (c *Cache) newPublishing(r *remote, t *Transient) *publishing {
	journal, err := c.createJournal()
	if err != nil {
		c.Log.Warn(fmt.Sprintf("%v; nothing is uploaded", err))
		return nil
	}
	return &publishing{journal: journal, uploads: newUploader(r, c.session, journal, c.withheld), sieve: newSieve(t, c.Local)}
}

// createJournal makes the session's journal.
func (c *Cache) createJournal() (*session.Journal, error) {
	journal, err := c.session.CreateJournal(c.target, c.Policy.Key != nil)
	if err != nil {
		return nil, fmt.Errorf("make the journal: %w", err)
	}
	return journal, nil
}

// startUploads begins with the uploads, unless that was done before.
func (c *Cache) startUploads() {
	p := c.publishing
	p.begun.Do(func() { c.running.Go(func() { p.uploads.run(c.background) }) })
}

// history is what a session used, in the order in which it first asked. Its methods
// may be called at the same time. The zero value is empty.
type history struct {
	mu    sync.Mutex
	uses  []session.Use
	index map[protocol.ActionID]int
}

// add notes a hit. Of several uses of one action the one counts that says most:
// what the session has made, then what it has fetched. The cost is kept from
// whichever knows it.
func (h *history) add(u session.Use) {
	h.mu.Lock()
	defer h.mu.Unlock()
	known := h.use(u.Action)
	cost := max(known.Cost, u.Cost)
	if known.Kind != session.Made && (known.Kind != session.Fetched || u.Kind != session.Found) {
		*known = u
	}
	known.Cost = cost
}

// put notes a put, which replaces what was used before.
func (h *history) put(u session.Use) {
	h.mu.Lock()
	defer h.mu.Unlock()
	*h.use(u.Action) = u
}

// use returns the use of action, which is new if there was none. The caller holds
// h.mu.
func (h *history) use(action protocol.ActionID) *session.Use {
	if h.index == nil {
		h.index = make(map[protocol.ActionID]int)
	}
	i, known := h.index[action]
	if !known {
		i = len(h.uses)
		h.index[action] = i
		h.uses = append(h.uses, session.Use{Action: action})
	}
	return &h.uses[i]
}

// all returns a copy of the uses so far.
func (h *history) all() []session.Use {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]session.Use(nil), h.uses...)
}

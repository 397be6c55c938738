package cache

import (
	"crypto/sha256"
	"sync"
	"time"

	"github.com/larderbuild/larder/protocol"
)

// use is one action that a session used, by a hit or by its own put.
type use struct {
	action protocol.ActionID
	cost   time.Duration // to build it; 0 unknown

	fresh bool // was put by this session

	// verified says that the session has put the entry, or has brought it and
	// believed what it was signed with. Others were in the local tier, and by
	// whom they came there nobody knows.
	verified bool

	// dropped says that the action was not used, and that what the manifest
	// names for it was refused.
	dropped bool

	// misplaced says that what the manifest names for the action could not
	// be fetched or was no good.
	misplaced bool
}

// record is what a session tells the next ones, by way of the manifest.
type record struct {
	uses  []use
	eager [sha256.Size]byte // digest of its command line, if it read archives; or zero
}

// history is what a session used, in the order in which it first asked.
type history struct {
	mu    sync.Mutex
	uses  []use
	index map[protocol.ActionID]int
}

// add notes a hit. What it cost to build is kept from whichever use knows.
func (h *history) add(action protocol.ActionID, cost time.Duration, verified bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	u := h.of(action)
	u.cost = max(u.cost, cost)
	u.verified = u.verified || verified
}

// put notes a put.
func (h *history) put(jb job) {
	h.mu.Lock()
	defer h.mu.Unlock()
	u := h.of(jb.action)
	u.cost, u.fresh, u.verified = jb.cost, true, true
}

// of returns the use of action, which is new if there was none.
func (h *history) of(action protocol.ActionID) *use {
	if h.index == nil {
		h.index = make(map[protocol.ActionID]int)
	}
	i, known := h.index[action]
	if !known {
		i = len(h.uses)
		h.index[action] = i
		h.uses = append(h.uses, use{action: action})
	}
	return &h.uses[i]
}

// all returns the uses so far. The caller must not change them.
func (h *history) all() []use {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.uses[:len(h.uses):len(h.uses)]
}

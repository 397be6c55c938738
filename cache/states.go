package cache

import (
	"slices"
	"sync"
)

// state is what has become of one promised entry on this machine.
type state uint8

const (
	absent    state = iota // still to be brought
	bringing               // a goroutine is installing it
	present                // in the local tier, and not by this prefetch
	brought                // in the local tier, by this prefetch
	unreached              // a fault kept it away; it may be brought later
	forfeited              // the store does not have it, or it is no good; its entry object may still be there
)

// settled reports whether a get need not wait any more.
func (s state) settled() bool { return s != absent && s != bringing }

// lacking reports whether the entry is to be brought.
func (s state) lacking() bool { return s == absent || s == unreached }

// event is what can happen to a promised entry.
type event uint8

const (
	claimed    event = iota // a goroutine takes it upon itself to install the entry, or to put the action
	noticed                 // the local tier was found to have the entry
	superseded              // the build or another process has put the action itself
	installed               // the entry was installed
	failed                  // an attempt came to nothing, because of a fault
	lost                    // the store has no good one
)

// transitions says to which state an event takes an entry. In a state that an event does
// not list, it changes nothing.
var transitions = [...]map[state]state{
	claimed:    {absent: bringing, unreached: bringing},
	noticed:    {absent: present, unreached: present},
	superseded: {absent: present, bringing: present, brought: present, unreached: present},
	installed:  {bringing: brought},
	failed:     {bringing: unreached},
	lost:       {bringing: forfeited},
}

// states are those of all promised entries, by their index. Its methods may be
// called at the same time.
type states struct {
	mu      sync.Mutex // guards all fields
	of      []state
	refused []int                 // entries that are not what they should be
	waiting map[int]chan struct{} // closed when those who wait are to look again
	leading bool                  // this process is the one that fetches
	shared  int                   // entries before this one are fetched by one process, the others by each
}

// newStates returns the states of entries, of which one process fetches those before shared.
func newStates(entries, shared int) *states {
	return &states{of: make([]state, entries), waiting: make(map[int]chan struct{}), shared: shared}
}

// happen applies event to entry i, and reports whether it changed anything.
func (s *states) happen(e event, i int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	next, ok := transitions[e][s.of[i]]
	if !ok {
		return false
	}
	s.of[i] = next
	if next.settled() {
		s.wake(i)
	}
	return true
}

// refuse notes that entry i is not what it should be.
func (s *states) refuse(i int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refused = append(s.refused, i)
}

// wake has those look again who wait for entry i. The caller holds s.mu.
func (s *states) wake(i int) {
	if wait := s.waiting[i]; wait != nil {
		close(wait)
		delete(s.waiting, i)
	}
}

// setLeading says whether this process is the one that fetches. All who wait look again:
// another process may have brought their entry, or be about to.
func (s *states) setLeading(leading bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.leading = leading
	for i := range s.waiting {
		s.wake(i)
	}
}

// look returns the state of entry i. Where that is not settled and this process
// fetches, changed is closed once it is.
func (s *states) look(i int) (now state, changed <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now = s.of[i]
	if now.settled() || !s.leading && i < s.shared {
		return now, nil
	}
	if s.waiting[i] == nil {
		s.waiting[i] = make(chan struct{})
	}
	return now, s.waiting[i]
}

// get returns the state of entry i.
func (s *states) get(i int) state {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.of[i]
}

// all returns all states as they are now.
func (s *states) all() []state {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.of)
}

// refusals returns the entries that were refused so far.
func (s *states) refusals() []int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.refused)
}

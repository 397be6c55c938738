package cache

import (
	"testing"
	"time"
)

// TestTransitions goes through every event in every state. An event that settles an
// entry wakes those who wait for it. No event unsettles an entry, but that an unreached
// one is brought after all.
func TestTransitions(t *testing.T) {
	everyState := []state{absent, bringing, present, brought, unreached, forfeited}
	everyEvent := []event{claimed, noticed, superseded, installed, failed, lost}
	if len(transitions) != len(everyEvent) {
		t.Fatalf("%d events in the table, want %d", len(transitions), len(everyEvent))
	}
	for _, before := range everyState {
		for _, e := range everyEvent {
			s := newStates(1, 1)
			s.leading = true
			_, changed := s.look(0)
			s.of[0] = before
			happened := s.happen(e, 0)
			after := s.get(0)
			if happened != (after != before) {
				t.Errorf("event %d in state %d: happened is %v, and the state is %d", e, before, happened, after)
			}
			if before.settled() && !after.settled() && (before != unreached || e != claimed) {
				t.Errorf("event %d unsettles state %d", e, before)
			}
			if !happened {
				continue
			}
			select {
			case <-changed:
				if !after.settled() {
					t.Errorf("event %d in state %d wakes those who wait for what is not settled", e, before)
				}
			default:
				if after.settled() {
					t.Errorf("event %d in state %d wakes nobody", e, before)
				}
			}
		}
	}
}

// TestLeadership shows that all who wait look again when another process takes over
// the fetching.
func TestLeadership(t *testing.T) {
	s := newStates(2, 2)
	if _, changed := s.look(0); changed != nil {
		t.Error("waits for itself, and another process fetches")
	}
	s.setLeading(true)
	_, changed := s.look(0)
	s.setLeading(false)
	select {
	case <-changed:
	case <-time.After(time.Minute):
		t.Error("nobody is woken")
	}
}

package session

import (
	"crypto/sha256"
	"slices"
	"time"

	"github.com/larderbuild/larder/protocol"
)

// Kind says how a session came by what it used. Its value is the character that
// stands for it in a journal.
type Kind byte

const (
	// Found: the local tier had the entry before. Who brought it there is not
	// known.
	Found Kind = '='

	// Fetched: this session brought the entry from the remote and verified it, or
	// gave out its head as a trusted manifest promises it.
	Fetched Kind = '<'

	// Made: this session put the entry.
	Made Kind = '*'

	// Misplaced: the session used the action, but what the manifest names for
	// it could not be had or was no good.
	Misplaced Kind = '!'

	// Refused: the session did not use the action, and what the manifest names
	// for it was no good, or nobody trusted has signed it.
	Refused Kind = 'x'
)

// Use is one action of a session, with the entry that it had.
type Use struct {
	Action protocol.ActionID
	Output protocol.OutputID // zero where Kind is Refused
	Cost   time.Duration     // to build it; 0: unknown
	Kind   Kind
}

// Record is what a session tells the next ones, by way of the manifest.
type Record struct {
	Uses  []Use               // in the order in which the session first asked
	Eager [][sha256.Size]byte // digests of command lines that read archives
}

// merge takes in a later record. Of two uses of one action the later one counts. But
// what was misplaced stays so, and so does what a later session met and refused: only a
// publication puts it right.
func (r *Record) merge(later Record) {
	index := make(map[protocol.ActionID]int, len(r.Uses))
	for i, u := range r.Uses {
		index[u.Action] = i
	}
	for _, u := range later.Uses {
		i, known := index[u.Action]
		if !known {
			index[u.Action] = len(r.Uses)
			r.Uses = append(r.Uses, u)
			continue
		}
		switch before := r.Uses[i]; {
		case before.Kind == Misplaced && u.Kind != Refused:
			u.Kind = Misplaced
		case before.Kind != Refused && u.Kind == Refused:
			u = before
			u.Kind = Misplaced
		}
		r.Uses[i] = u
	}
	for _, command := range later.Eager {
		if !slices.Contains(r.Eager, command) {
			r.Eager = append(r.Eager, command)
		}
	}
}

// Upload is one entry object that is still to be put into the remote. It names the output
// that the session has put: whoever does the upload uploads no other one.
type Upload struct {
	Action protocol.ActionID
	Output protocol.OutputID
	Cost   time.Duration // to build the entry; 0: unknown
}

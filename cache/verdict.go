package cache

import (
	"crypto/sha256"
	"io"
	"os"
	"slices"

	"github.com/larderbuild/larder/entry"
	"github.com/larderbuild/larder/modindex"
	"github.com/larderbuild/larder/pack"
	"github.com/larderbuild/larder/protocol"
	"github.com/larderbuild/larder/session"
)

// verdict is what becomes of a use in the next manifest of a profile.
type verdict uint8

const (
	// From renewed on, a verdict is a reason to write a manifest.
	leftOut   verdict = iota // the local tier has it no longer, or it has to stay there
	elsewhere                // a scope that is only read names it already
	kept                     // the manifest names it, as used today
	joining                  // it goes in if something else does: a module index
	renewed                  // the manifest names it, and learns that it was used today
	lent                     // a sibling's manifest names it; this one does so, too, from now on
	added                    // it goes in, in place of what the manifest names for the action
	removed                  // what the manifest names for the action leaves
)

// isNews reports whether v is a reason to write a manifest.
func (v verdict) isNews() bool { return v >= renewed }

// judge gives the verdict on u. If u is added or joining, judge returns its entry as the
// local tier has it, and if it is lent, as the sibling names it.
//
// The local tier counts as long as it has the output that the session used. Another one
// is for the session that has put it since.
func (d *draft) judge(u session.Use) (verdict, pack.Entry) {
	named := d.named[u.Action]
	switch {
	case d.marked[u.Action]:
		return leftOut, pack.Entry{}
	case u.Kind == session.Refused:
		if named == nil {
			return leftOut, pack.Entry{}
		}
		return removed, pack.Entry{}
	case u.Kind == session.Misplaced: // is packed again, whatever the manifest names by now
	case named != nil && named.Output == u.Output:
		if named.Used == d.today && !d.old.packsAreLent() {
			return kept, pack.Entry{}
		}
		return renewed, pack.Entry{}
	case named == nil && d.namedElsewhere(u):
		return elsewhere, pack.Entry{}
	default:
		if e := d.lendable.entries[u.Action]; e != nil && e.Output == u.Output && !d.isLost(e, d.lendable.packs) {
			return lent, *e
		}
	}
	local, path, err := d.Local.Get(u.Action)
	if err != nil || local.Output != u.Output || local.Size > d.MaxObject {
		return leftOut, pack.Entry{}
	}
	e := pack.Entry{Action: u.Action, Output: local.Output, Size: local.Size, Time: local.Time, Cost: min(u.Cost, entry.MaxCost), Used: d.today}
	begin := beginning(path)
	if modindex.KindOf(begin) != modindex.None {
		// The session that made an index has found it not to be homebound. It knew its GOROOT.
		if u.Kind != session.Made && isHomeboundFile(u.Action, begin, path) {
			return leftOut, pack.Entry{}
		}
		return joining, e
	}
	if e.Size > smallBody {
		e.Head = pack.Head(begin)
	}
	return added, e
}

// namedElsewhere reports whether a scope that is only read names what u used.
func (p *publisher) namedElsewhere(u session.Use) bool {
	output, named := p.elsewhere[u.Action]
	return named && output == u.Output
}

// isNewEager reports whether one of commands is an eager one that the old manifest does
// not name, as used today.
func (d *draft) isNewEager(commands [][sha256.Size]byte) bool {
	return slices.ContainsFunc(commands, func(command [sha256.Size]byte) bool {
		known, named := d.old.FindEager(command)
		return !named || known.Used != d.today
	})
}

// mustLeave reports whether e, which the manifest names, is withheld.
func (p *publisher) mustLeave(e *pack.Entry) bool {
	return p.marked[e.Action] && p.withheld.keeps(e.Action, e.Output)
}

// packsAreLent reports whether the packs that the manifest names are another profile's.
func (p published) packsAreLent() bool { return p.version == "" }

// byAction returns the entries of m by their actions.
func byAction(m *pack.Manifest) map[protocol.ActionID]*pack.Entry {
	named := make(map[protocol.ActionID]*pack.Entry, len(m.Entries))
	for i := range m.Entries {
		named[m.Entries[i].Action] = &m.Entries[i]
	}
	return named
}

// beginning returns as much of the body at path as tells what it is.
func beginning(path string) []byte {
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer f.Close()
	begin := make([]byte, pack.MaxHead)
	n, _ := io.ReadFull(f, begin) // a shorter body is read whole
	return begin[:n]
}

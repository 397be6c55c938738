package cache

import (
	"cmp"
	"crypto/sha256"
	"slices"

	"github.com/larderbuild/larder/pack"
	"github.com/larderbuild/larder/protocol"
	"github.com/larderbuild/larder/session"
)

// draft is a manifest in the making.
type draft struct {
	*publisher
	calendar
	old       published
	named     map[protocol.ActionID]*pack.Entry // entries of old that no use is for, so far
	next      pack.Manifest
	packs     map[pack.ID]int            // index in next.Packs
	fresh     []int                      // entries of next that are still to be packed
	misplaced map[protocol.ActionID]bool // of these, the ones that lie elsewhere in vain
	compacts  bool                       // it rewrites packs, and nobody waits for it
	needed    bool                       // next differs from old in a way worth writing, and old may be replaced

	inlined int64 // bytes of bodies that stand in next

	used  int // uses of which next has an entry, or another scope
	added int // of these, the ones that old lacks
}

// draft merges r into old. First stands what was used, in the order of its use, then
// what other builds used within the last week.
func (p *publisher) draft(old published, r session.Record) *draft {
	d := &draft{
		publisher: p,
		calendar:  newCalendar(old.Manifest, p.now),
		old:       old,
		named:     byAction(old.Manifest),
		packs:     make(map[pack.ID]int),
		misplaced: make(map[protocol.ActionID]bool),
	}
	d.next.Today, d.next.Clock, d.next.Far = d.today, d.clock, d.far
	d.next.Entries = make([]pack.Entry, 0, max(len(r.Uses), len(old.Entries)))
	d.needed = d.isNewEager(r.Eager)
	d.keepEager(r.Eager)
	for i := range old.Entries {
		if e := &old.Entries[i]; d.isLost(e, old.Packs) {
			delete(d.named, e.Action)
			d.needed = true
		}
	}
	var indexes []pack.Entry
	for _, u := range r.Uses {
		v, e := d.judge(u)
		switch v {
		case kept, renewed:
			e = *d.named[u.Action]
			e.Used = d.today
			d.keep(e)
		case added:
			d.misplaced[u.Action] = u.Kind == session.Misplaced
			d.add(e)
		case lent:
			d.lend(e)
		case joining:
			indexes = append(indexes, e)
		}
		if v != leftOut && v != removed {
			d.used++
		}
		if v != leftOut {
			delete(d.named, u.Action)
		}
		d.needed = d.needed || v.isNews()
	}
	if d.added > 0 {
		for _, e := range indexes {
			d.add(e)
		}
	}
	for i := range old.Entries {
		e := &old.Entries[i]
		switch {
		case d.named[e.Action] == nil: // used, so it stands in next already
		case p.mustLeave(e):
			d.needed = true
		case d.expired(e.Used):
		default:
			d.keep(*e)
		}
	}
	d.needed = d.needed && !old.newer
	return d
}

// keep takes in an entry of the old manifest.
func (d *draft) keep(e pack.Entry) {
	d.inlined += int64(len(e.Inline))
	if e.InPack() {
		from := d.old.Packs[e.Pack]
		from.Own = from.Own && !d.old.packsAreLent()
		e.Pack = d.packIndex(from)
	}
	d.next.Entries = append(d.next.Entries, e)
}

// lend takes in an entry that a sibling's manifest names.
func (d *draft) lend(e pack.Entry) {
	d.inlined += int64(len(e.Inline))
	e.Used = d.today
	if e.InPack() {
		from := d.lendable.packs[e.Pack]
		from.Own = false
		e.Pack = d.packIndex(from)
	}
	d.next.Entries = append(d.next.Entries, e)
}

// add takes in an entry that the old manifest lacks.
func (d *draft) add(e pack.Entry) {
	d.added++
	if !d.place(&e, d.places) {
		d.fresh = append(d.fresh, len(d.next.Entries))
	}
	d.next.Entries = append(d.next.Entries, e)
}

// place has e lie where places says, and reports whether that has its output. A pack that is
// gone has nothing.
func (d *draft) place(e *pack.Entry, places map[protocol.ActionID]placement) bool {
	at, ok := places[e.Action]
	if !ok || at.output != e.Output || d.lost[at.pack.ID] {
		return false
	}
	e.Pack, e.Span, e.Time = d.packIndex(at.pack), at.span, at.time
	return true
}

// packIndex returns the index of from in the packs of next. A pack of the profile's own
// that a sibling names stays its own.
func (d *draft) packIndex(from pack.Pack) int {
	i, ok := d.packs[from.ID]
	if !ok {
		i = len(d.next.Packs)
		d.packs[from.ID] = i
		d.next.Packs = append(d.next.Packs, from)
	}
	d.next.Packs[i].Own = d.next.Packs[i].Own || from.Own
	return i
}

// keepEager keeps the eager commands that were used within the last week, and adds
// those of commands, as used today.
func (d *draft) keepEager(commands [][sha256.Size]byte) {
	for _, e := range d.old.Eager {
		if !slices.Contains(commands, e.Command) && !d.expired(e.Used) {
			d.next.Eager = append(d.next.Eager, e)
		}
	}
	for _, command := range commands {
		d.next.Eager = append(d.next.Eager, pack.Eager{Command: command, Used: d.today})
	}
}

// postpone takes out of the draft what its pack has no room for, the largest bodies
// first. One body always has room. postpone returns the actions.
func (d *draft) postpone() map[protocol.ActionID]bool {
	entries, sum, least := d.next.Entries, d.packedSize, 1
	if sum > 0 {
		least = 0
	}
	bySize := slices.Clone(d.fresh)
	slices.SortStableFunc(bySize, func(i, j int) int { return cmp.Compare(entries[i].Size, entries[j].Size) })
	cut := slices.IndexFunc(bySize, func(i int) bool {
		sum += entries[i].Size
		return sum > d.room
	})
	if d.room == 0 || cut < 0 {
		return nil
	}
	postponed := make(map[protocol.ActionID]bool)
	for _, i := range bySize[max(cut, least):] {
		postponed[entries[i].Action] = true
	}
	isFresh := make(map[int]bool, len(d.fresh))
	for _, i := range d.fresh {
		isFresh[i] = true
	}
	var kept []pack.Entry
	var fresh []int
	for i, e := range entries {
		if postponed[e.Action] {
			continue
		}
		if isFresh[i] {
			fresh = append(fresh, len(kept))
		}
		kept = append(kept, e)
	}
	d.next.Entries, d.fresh = kept, fresh
	return postponed
}

// tidy removes the entries that gone names, and packs in which nothing lies, unless they are
// about to retire.
func (d *draft) tidy(gone map[int]bool) {
	drafted := d.next
	d.next = drafted
	d.next.Packs, d.next.Entries = nil, make([]pack.Entry, 0, len(drafted.Entries))
	d.packs = make(map[pack.ID]int)
	for i, e := range drafted.Entries {
		if gone[i] {
			continue
		}
		if e.InPack() {
			e.Pack = d.packIndex(drafted.Packs[e.Pack])
		}
		d.next.Entries = append(d.next.Entries, e)
	}
	d.retire()
}

// retire goes on naming packs of the old manifest in which nothing lies any more, until a
// publication on a later day. Builds that have read the old manifest may still fetch from
// them, and siblings may be about to name them. A collection removes what no manifest names.
func (d *draft) retire() {
	if d.old.packsAreLent() {
		return
	}
	used := make(map[int]bool)
	for i := range d.old.Entries {
		if e := &d.old.Entries[i]; e.InPack() {
			used[e.Pack] = true
		}
	}
	for i, p := range d.old.Packs {
		if !d.lost[p.ID] && (used[i] || d.today == d.old.Today) {
			d.packIndex(p)
		}
	}
}

package cache

import (
	"crypto/sha256"
	"slices"

	"github.com/larderbuild/larder/pack"
	"github.com/larderbuild/larder/protocol"
	"github.com/larderbuild/larder/session"
)

const (
	// maxPacks is how many packs of its own a profile's manifest names before
	// they are rewritten as one. They are rewritten, too, when more than a third
	// of their bytes are of no use any more.
	maxPacks = 8
)

// draft is a manifest in the making.
type draft struct {
	*publisher
	calendar
	old    published
	named  map[protocol.ActionID]*pack.Entry // entries of old that no use is for, so far
	next   pack.Manifest
	packs  map[pack.ID]int // index in next.Packs
	fresh  []int           // entries of next that are still to be packed
	needed bool            // next differs from old in a way worth writing, and old may be replaced

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
	}
	d.next.Today, d.next.Clock, d.next.Far = d.today, d.clock, d.far
	d.next.Entries = make([]pack.Entry, 0, max(len(r.Uses), len(old.Entries)))
	d.needed = d.isNewEager(r.Eager)
	d.keepEager(r.Eager)
	var indexes []pack.Entry
	for _, u := range r.Uses {
		v, e := d.judge(u)
		switch v {
		case kept, renewed:
			e = *d.named[u.Action]
			e.Used = d.today
			d.keep(e)
		case added:
			d.add(e)
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
	d.compact()
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

// add takes in an entry that the old manifest lacks.
func (d *draft) add(e pack.Entry) {
	d.added++
	if at, ok := d.packed[e.Action]; ok && at.output == e.Output {
		e.Pack, e.Offset, e.Length = d.packIndex(at.pack), at.offset, at.length
	} else {
		d.fresh = append(d.fresh, len(d.next.Entries))
	}
	d.next.Entries = append(d.next.Entries, e)
}

// packIndex returns the index of from in the packs of next.
func (d *draft) packIndex(from pack.Pack) int {
	i, ok := d.packs[from.ID]
	if !ok {
		i = len(d.next.Packs)
		d.packs[from.ID] = i
		d.next.Packs = append(d.next.Packs, from)
	}
	return i
}

// keepEager keeps the eager commands that were used within the last week, and adds
// command, if that is one.
func (d *draft) keepEager(command [sha256.Size]byte) {
	for _, e := range d.old.Eager {
		if e.Command != command && !d.expired(e.Used) {
			d.next.Eager = append(d.next.Eager, e)
		}
	}
	if command != [sha256.Size]byte{} {
		d.next.Eager = append(d.next.Eager, pack.Eager{Command: command, Used: d.today})
	}
}

// compact has the entries of the profile's own packs packed again, as one, if the
// packs are too many or too much in them is of no use any more.
func (d *draft) compact() {
	var packs int
	var size, used int64
	for _, p := range d.next.Packs {
		if p.Own {
			packs++
			size += p.Size
		}
	}
	fresh := make(map[int]bool, len(d.fresh))
	for _, i := range d.fresh {
		fresh[i] = true
	}
	var own []int
	for i := range d.next.Entries {
		e := &d.next.Entries[i]
		if e.InPack() && !fresh[i] && d.next.Packs[e.Pack].Own {
			own = append(own, i)
			used += e.Length
		}
	}
	if packs < maxPacks && size-used <= size/3 {
		return
	}
	d.fresh = append(d.fresh, own...)
	slices.Sort(d.fresh) // in the order of their use
}

// tidy removes the entries that gone names, and packs that nothing lies in.
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
}

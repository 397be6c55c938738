package cache

import (
	"bytes"
	"io"
	"os"
	"slices"

	"github.com/larderbuild/larder/pack"
	"github.com/larderbuild/larder/protocol"
)

// draft is a manifest in the making.
type draft struct {
	*publisher
	next   pack.Manifest
	packs  map[pack.ID]int // index in next.Packs
	fresh  []int           // entries of next that lie in no pack yet
	needed bool            // next differs from the old one in a way worth writing

	inlined int64 // bytes of bodies that stand in next

	used, news int // entries of the uses, and those of them that were added
}

// draft merges r into old: what was used stands first, in the order of its use,
// then what others used within the last week.
func (p *publisher) draft(old published, r record) *draft {
	d := &draft{publisher: p, packs: make(map[pack.ID]int)}
	known := make(map[protocol.ActionID]*pack.Entry, len(old.Entries))
	for i := range old.Entries {
		known[old.Entries[i].Action] = &old.Entries[i]
	}
	d.next.Entries = make([]pack.Entry, 0, max(len(r.uses), len(old.Entries)))
	d.keepEager(old, r)
	lend := old.version == "" // a profile's first: the packs are another one's
	keep := func(e pack.Entry) {
		d.inlined += int64(len(e.Inline))
		if e.InPack() {
			from := old.Packs[e.Pack]
			from.Own = from.Own && !lend
			e.Pack = d.packIndex(from)
		}
		d.next.Entries = append(d.next.Entries, e)
	}

	var indexes []pack.Entry // fresh module indexes
	var lacking bool         // there is something fresh besides
	for _, u := range r.uses {
		if p.stays[u.action] {
			continue
		}
		k := known[u.action]
		if u.dropped {
			d.needed = d.needed || k != nil
			delete(known, u.action)
			continue
		}
		e, path, err := p.local.Get(u.action)
		if err != nil && k != nil && !u.fresh && !u.misplaced {
			e, err = localEntry(k), nil // given out lazily, say
		}
		if err != nil || e.Size > p.maxObject {
			continue
		}
		d.used++
		if k != nil && k.Output == e.Output && !u.misplaced {
			delete(known, u.action)
			d.needed = d.needed || k.Used != p.today || lend
			kept := *k
			kept.Used = p.today
			keep(kept)
			continue
		}
		if output, ok := p.elsewhere[u.action]; ok && k == nil && output == e.Output && !u.misplaced {
			continue // who reads this scope reads that one, too
		}
		delete(known, u.action)
		fresh := pack.Entry{Action: e.Action, Output: e.Output, Size: e.Size, Time: e.Time, Cost: u.cost, Used: p.today}
		begin := beginning(path)
		if isModuleIndex(begin) {
			indexes = append(indexes, fresh)
			continue
		}
		if fresh.Size > smallBody {
			fresh.Head = pack.Head(begin)
		}
		lacking = true
		d.add(fresh)
	}
	if lacking {
		d.needed = true
		for _, e := range indexes {
			d.add(e)
		}
	}
	for i := range old.Entries {
		e := &old.Entries[i]
		switch {
		case known[e.Action] == nil || e.Used+expiry < p.today:
		case p.stays[e.Action] && p.withheld.holds(e.Action, e.Output):
			d.needed = true // to take it out
		default:
			keep(*e)
		}
	}
	d.compact()
	return d
}

// add takes in an entry that the old manifest lacks.
func (d *draft) add(e pack.Entry) {
	d.news++
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

// keepEager keeps the eager commands of old that were used within the last week,
// and adds that of r.
func (d *draft) keepEager(old published, r record) {
	d.needed = d.newEager(old, r)
	for _, l := range old.Eager {
		if l.Command != r.eager && l.Used+expiry >= d.today {
			d.next.Eager = append(d.next.Eager, l)
		}
	}
	if r.eager != (record{}).eager {
		d.next.Eager = append(d.next.Eager, pack.Eager{Command: r.eager, Used: d.today})
	}
}

// beginning returns as much of the body at path as tells what it is.
func beginning(path string) []byte {
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer f.Close()
	begin := make([]byte, pack.MaxHead)
	n, _ := io.ReadFull(f, begin) // a shorter one is whole
	return begin[:n]
}

// isModuleIndex reports whether a body that begins so is a module index. One of a
// main module is made anew for every checkout, so nobody waits for it: it travels
// with others, and causes no pack.
func isModuleIndex(begin []byte) bool { return bytes.HasPrefix(begin, moduleIndex) }

// compact has the entries of the profile's own packs packed again, as one, if
// they are too many or too much in them is of no use any more.
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
	old := d.next
	d.next = pack.Manifest{Eager: old.Eager, Entries: make([]pack.Entry, 0, len(old.Entries))}
	d.packs = make(map[pack.ID]int)
	for i, e := range old.Entries {
		if gone[i] {
			continue
		}
		if e.InPack() {
			e.Pack = d.packIndex(old.Packs[e.Pack])
		}
		d.next.Entries = append(d.next.Entries, e)
	}
}

package cache

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"github.com/larderbuild/larder/entry"
)

// next takes the next parcel from the queue, once it may begin. What is put again while
// it is being uploaded is uploaded once more afterwards, and not at the same time: the
// last put must win.
func (u *uploader) next(ctx context.Context) (*parcel, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for {
		if err := u.await(ctx, func() bool { return u.denied != nil || u.mayBegin() }); err != nil {
			return nil, err
		}
		if u.denied != nil {
			return nil, u.denied
		}
		p := u.dequeue()
		if f := u.busy(p); f != nil {
			f.again = append(f.again, p)
			continue
		}
		f := &flight{size: u.weight(p)}
		if u.flights == 0 && f.size > u.limit() {
			u.large = f
		}
		for _, m := range p.members() {
			u.active[m.Action] = f
		}
		u.flights++
		u.flying += f.size
		return p, nil
	}
}

// busy returns a flight that has an action of p, or nil. The caller holds u.mu.
func (u *uploader) busy(p *parcel) *flight {
	for _, m := range p.members() {
		if f := u.active[m.Action]; f != nil {
			return f
		}
	}
	return nil
}

// mayBegin reports whether the next upload may begin. The first one goes alone, or beside
// a large body: nothing more is compressed before the remote has taken something. The
// caller holds u.mu.
func (u *uploader) mayBegin() bool {
	connections := 1
	switch {
	case u.proven && u.hurried:
		connections = uploadsAfterBuild
	case u.proven:
		connections = uploadsDuringBuild
	}
	flying := u.flying
	if u.large != nil {
		connections++
		flying -= u.large.size
	}
	if !u.isReady() || u.paused || u.flights >= connections {
		return false
	}
	return u.flights == 0 || flying+u.weight(u.queue[0]) <= u.limit()
}

// isReady reports whether something is queued that does not wait for a publication. The
// caller holds u.mu.
func (u *uploader) isReady() bool {
	return len(u.queue) > 0 && (!u.packing || u.queue[0].size <= largeBody)
}

// limit returns how many bytes the bodies under way may have, but for a large one.
func (u *uploader) limit() int64 {
	return min(max(u.pace.in(inFlight), leastInFlight), mostInFlight)
}

// How long an upload is held at most while the build runs: for what belongs to it, which may
// be put in a moment, or for its parent, which may have to be compiled first. A job may be
// cancelled before its build is over, so nothing is held until then.
const (
	forAMoment   = 300 * time.Millisecond
	forItsParent = time.Minute
)

// enqueue queues p, or holds it, in place of what waits for the same action. The caller
// holds u.mu.
func (u *uploader) enqueue(p *parcel) {
	if before := u.latest[p.Action]; before != nil {
		p.riders = before.riders
		u.withdraw(before)
	}
	for _, m := range p.members() {
		u.waiting[m.Action]++
	}
	u.latest[p.Action] = p
	if p.held = p.held && !u.hurried; p.held {
		return
	}
	i, _ := slices.BinarySearchFunc(u.queue, p.size+1, func(q *parcel, size int64) int { return cmp.Compare(q.size, size) })
	u.queue = slices.Insert(u.queue, i, p)
	u.change.Broadcast()
}

// withdraw has p wait no longer, in the queue or held. The caller holds u.mu.
func (u *uploader) withdraw(p *parcel) {
	if !p.held {
		i := slices.Index(u.queue, p)
		u.queue = slices.Delete(u.queue, i, i+1)
	}
	for _, m := range p.members() {
		if u.waiting[m.Action]--; u.waiting[m.Action] == 0 {
			delete(u.waiting, m.Action)
		}
	}
	delete(u.latest, p.Action)
}

// dequeue takes the first parcel out of the queue, which is not empty. The caller holds
// u.mu.
func (u *uploader) dequeue() *parcel {
	p := u.queue[0]
	u.collect(p)
	u.sift()
	u.withdraw(p)
	return p
}

// requeue queues what is in p once more, but for what was put again. Riders wait for their
// parent. The caller holds u.mu.
func (u *uploader) requeue(p *parcel) {
	for _, m := range p.members() {
		if u.waiting[m.Action] == 0 {
			u.enqueue(&parcel{queued: m, held: m.Action != p.Action})
		}
	}
	if parent := u.latest[p.Action]; parent != nil && u.hurried {
		u.collect(parent)
		u.sift()
	}
}

// release queues p, if it is held. The caller holds u.mu.
func (u *uploader) release(p *parcel) {
	if u.latest[p.Action] == p && p.held {
		u.withdraw(p)
		p.held = false
		u.enqueue(p)
	}
}

// releaseAll queues everything that is held. The caller holds u.mu.
func (u *uploader) releaseAll() {
	for _, p := range slices.Collect(maps.Values(u.latest)) {
		u.release(p)
	}
}

// group has everything that waits ride with its parent, if that waits, too. The caller
// holds u.mu.
func (u *uploader) group() {
	for _, p := range u.queue {
		if !p.boarded {
			u.collect(p)
		}
	}
	u.sift()
}

// sift removes from the queue what rides in other parcels by now. The caller holds u.mu.
func (u *uploader) sift() {
	if u.boarding {
		u.queue = slices.DeleteFunc(u.queue, func(p *parcel) bool { return p.boarded })
		u.boarding = false
	}
}

// collect has those that wait ride with p whose actions are subkeys of p's, as far as there
// is room. They are in the queue until sift is called. The caller holds u.mu.
func (u *uploader) collect(p *parcel) {
	names := slices.Clone(subkeyNames[:])
	for i := 0; i < len(names); i++ {
		name := names[i]
		if len(name) > entry.MaxRiderName {
			continue
		}
		child, ok := u.latest[p.Action.Subkey(name)]
		if !ok || !child.mayRide() || p.load()+child.asRider(name) > entry.MaxRiders {
			continue
		}
		child.boarded = true
		u.boarding = u.boarding || !child.held
		delete(u.latest, child.Action)
		u.seat(p, &rider{queued: child.queued, name: name})
		if name == listName {
			names = append(names, generatedOf(u.Local, p.Action)...)
		}
	}
}

// seat has r ride with p, in place of what was put before for the same action. The caller
// holds u.mu.
func (u *uploader) seat(p *parcel, r *rider) {
	for i, before := range p.riders {
		if before.Action == r.Action {
			p.riders[i] = r
			u.waiting[r.Action]--
			return
		}
	}
	p.riders = append(p.riders, r)
}

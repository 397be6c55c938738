package cache

import (
	"cmp"
	"context"
	"math"
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
		f := &flight{size: p.bytes()}
		if u.flights == 0 && p.size > u.limit() {
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
	if len(u.queue) == 0 || u.paused || u.flights >= connections {
		return false
	}
	return u.flights == 0 || flying+u.queue[0].size <= u.limit()
}

// limit returns how many bytes the bodies under way may have, but for a large one.
func (u *uploader) limit() int64 {
	return min(max(u.pace.in(inFlight), leastInFlight), mostInFlight)
}

// How long an upload is held while the build runs: a moment, in which what belongs to it may
// be put, or until its parent takes it along, or until the build is over.
const (
	forAMoment = 300 * time.Millisecond
	untilOver  = time.Duration(math.MaxInt64)
)

// enqueue queues p. The caller holds u.mu.
func (u *uploader) enqueue(p *parcel) {
	for _, m := range p.members() {
		u.waiting[m.Action]++
	}
	u.latest[p.Action] = p
	if p.held = p.held && !u.hurried; p.held {
		u.held = append(u.held, p)
		return
	}
	i, _ := slices.BinarySearchFunc(u.queue, p.size+1, func(q *parcel, size int64) int { return cmp.Compare(q.size, size) })
	u.queue = slices.Insert(u.queue, i, p)
	u.change.Broadcast()
}

// dequeue takes the first parcel out of the queue, which is not empty. The caller holds
// u.mu.
func (u *uploader) dequeue() *parcel {
	p := u.queue[0]
	u.queue = u.queue[1:]
	if u.collect(p) {
		u.queue = slices.DeleteFunc(u.queue, func(q *parcel) bool { return q.boarded })
	}
	for _, m := range p.members() {
		if u.waiting[m.Action]--; u.waiting[m.Action] == 0 {
			delete(u.waiting, m.Action)
		}
	}
	if u.latest[p.Action] == p {
		delete(u.latest, p.Action)
	}
	return p
}

// release queues p, if it is held. The caller holds u.mu.
func (u *uploader) release(p *parcel) {
	i := slices.Index(u.held, p)
	if i < 0 {
		return
	}
	u.held = slices.Delete(u.held, i, i+1)
	if !p.boarded {
		u.waiting[p.Action]-- // enqueue counts it again
		p.held = false
		u.enqueue(p)
	}
}

// releaseAll queues everything that is held. The caller holds u.mu.
func (u *uploader) releaseAll() {
	for _, p := range slices.Clone(u.held) {
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
	u.queue = slices.DeleteFunc(u.queue, func(p *parcel) bool { return p.boarded })
}

// collect has those that wait ride with p whose actions are subkeys of p's, as far as there
// is room. It reports whether any are in the queue, from where the caller removes them. The
// caller holds u.mu.
func (u *uploader) collect(p *parcel) (fromQueue bool) {
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
		fromQueue = fromQueue || !child.held
		delete(u.latest, child.Action)
		u.seat(p, &rider{queued: child.queued, name: name})
		if name == listName {
			names = append(names, generatedOf(u.Local, p.Action)...)
		}
	}
	return fromQueue
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

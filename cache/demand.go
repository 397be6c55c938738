package cache

import (
	"context"
	"slices"
	"sync"

	"golang.org/x/sync/semaphore"
)

// demands fetches what only siblings' manifests promise, or those that referrals name, once a
// get asks for it. What lies
// beside it in the pack comes along: most likely another job has just built that, too.
type demands struct {
	background context.Context // of the fetches
	limit      *semaphore.Weighted
	running    sync.WaitGroup

	mu      sync.Mutex   // guards planned
	planned map[int]bool // by pack: its chunks are in queue, or were
	queue   chunkQueue
}

// begin lets fetches begin, which end with ctx.
func (d *demands) begin(ctx context.Context) {
	d.background = ctx
	d.limit = semaphore.NewWeighted(streams)
	d.planned = make(map[int]bool)
}

// demand has entry i fetched if only a sibling's manifest promises it.
func (p *prefetch) demand(i int) {
	d, e := &p.demands, &p.merged.Entries[i]
	if i < p.own || !e.InPack() || !p.states.get(i).lacking() {
		return
	}
	if e.Size > p.MaxObject {
		p.forgo(i)
		return
	}
	d.mu.Lock()
	if !d.planned[e.Pack] {
		d.planned[e.Pack] = true
		d.queue.push(p.merged.Chunks(p.beside(i)))
	}
	d.mu.Unlock()
	c, ok := d.queue.take(i)
	if !ok {
		return // it is here, or on its way
	}
	d.running.Go(func() {
		if d.limit.Acquire(d.background, 1) != nil {
			return
		}
		defer d.limit.Release(1)
		p.fetch(d.background, c)
	})
}

// beside returns entry i and what else the local tier lacks of what siblings' manifests
// promise out of the same pack: first what stands behind entry i, and then what stands before
// it. Where the local tier has no room for an entry, that waits for a get.
func (p *prefetch) beside(i int) []int {
	from := p.merged.Entries[i].Pack
	var before, behind []int
	for j := p.own; j < len(p.merged.Entries); j++ {
		e := &p.merged.Entries[j]
		if j == i || e.Pack != from || !e.InPack() || !p.states.get(j).lacking() {
			continue
		}
		switch _, _, err := p.Local.Get(e.Action); {
		case err == nil:
			p.states.happen(noticed, j)
		case e.Size > p.MaxObject:
			p.forgo(j)
		case j < i:
			before = append(before, j)
		default:
			behind = append(behind, j)
		}
	}
	return append([]int{i}, p.fitting(slices.Concat(behind, before))...)
}

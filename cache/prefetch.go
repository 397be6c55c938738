package cache

import (
	"container/list"
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/gofrs/flock"

	"github.com/larderbuild/larder/localdisk"
	"github.com/larderbuild/larder/pack"
	"github.com/larderbuild/larder/protocol"
)

const (
	// streams is how many chunks are fetched at once. Each is decoded as it
	// comes, through buffers of a few hundred KiB, so what is in flight stays
	// far below 128 MiB however large the packs are.
	streams = 8

	// followInterval is how often a session looks for what another one is
	// fetching on the same machine.
	followInterval = 5 * time.Millisecond
)

// state is what became of one entry of the manifest.
type state uint8

const (
	absent    state = iota // still to be brought
	bringing               // somebody is installing it
	here                   // in the local tier, as it was before
	brought                // in the local tier
	forfeited              // could not be brought; its entry object may still be
)

// prefetch brings what a manifest names to the local tier, before it is asked
// for: entries that are small come with the manifest, the others in chunks of
// packs, in the order in which the last builds asked for them.
type prefetch struct {
	local     *localdisk.Dir
	remote    *remote
	stats     *Stats
	maxObject int64
	put       func(localdisk.Entry, io.Reader) error // into local
	planned   func(entries int, bytes int64)         // told what is to be brought, by whoever leads
	done      func(bytes int64)                      // told of each entry that was, or could not be

	loaded chan struct{} // closed when the following are set
	found  published
	index  map[protocol.ActionID]int

	mu      sync.Mutex
	leading bool // this process is the one that fetches
	states  []state
	waiting map[int]chan struct{} // closed when the entry is no longer on its way
	queue   list.List             // of *chunk: what is still to be fetched
	chunkOf []*list.Element       // by entry; nil where it is in no queued chunk
}

type chunk struct {
	pack.Chunk
	retried bool
}

func newPrefetch(local *localdisk.Dir, r *remote, stats *Stats, maxObject int64) *prefetch {
	return &prefetch{
		local: local, remote: r, stats: stats, maxObject: maxObject,
		put: func(e localdisk.Entry, body io.Reader) error {
			_, err := local.Put(e, body)
			return err
		},
		planned: func(int, int64) {},
		done:    func(int64) {},
		loaded:  make(chan struct{}),
		waiting: make(map[int]chan struct{}),
	}
}

// run loads the manifest and brings what it names, until all is here or ctx is
// done.
func (p *prefetch) run(ctx context.Context, m *manifests) {
	found, err := m.load(ctx)
	if errors.Is(err, pack.ErrCorrupt) {
		p.stats.Corrupt.Add(1)
	}
	if err != nil && ctx.Err() == nil {
		p.remote.complain("fetch the manifest", m.remote.key(m.profile.key()), err)
	}
	p.bring(ctx, m, found)
}

// bring brings what found names. Of several processes on one machine one
// fetches, and the others find what it brings.
func (p *prefetch) bring(ctx context.Context, m *manifests, found published) {
	if found.Manifest == nil {
		found.Manifest = new(pack.Manifest)
	}
	lock := flock.New(m.copy+".lock", flock.SetPermissions(0o600))
	defer lock.Close()
	taken, err := lock.TryLock()
	leading := taken || err != nil // without locks each fetches for itself
	complete := p.plan(found, leading)
	close(p.loaded)
	if complete {
		return
	}
	if !leading {
		if _, err := lock.TryLockContext(ctx, followInterval); err != nil {
			return
		}
		p.plan(found, true) // without what has come meanwhile
	}
	p.lead(ctx)
}

// plan looks which entries the local tier lacks and, if leading, in which chunks
// to fetch them. It reports whether there are none.
func (p *prefetch) plan(found published, leading bool) (complete bool) {
	states := make([]state, len(found.Entries))
	index := make(map[protocol.ActionID]int, len(found.Entries))
	var want []int
	var bytes int64
	for i := range found.Entries {
		e := &found.Entries[i]
		index[e.Action] = i
		if _, _, err := p.local.Get(e.Action); err == nil {
			states[i] = here
			continue
		}
		want = append(want, i)
		bytes += e.Size
	}
	if leading {
		p.planned(len(want), bytes)
	}

	p.mu.Lock()
	defer p.mu.Unlock()
	if p.index == nil {
		p.found, p.index = found, index
	}
	p.states, p.leading = states, leading
	if leading {
		p.chunkOf = make([]*list.Element, len(states))
		for _, c := range found.Chunks(want) {
			queued := p.queue.PushBack(&chunk{Chunk: c})
			for _, i := range c.Entries {
				p.chunkOf[i] = queued
			}
		}
	}
	return len(want) == 0
}

// lead brings everything.
func (p *prefetch) lead(ctx context.Context) {
	var workers sync.WaitGroup
	defer workers.Wait()
	workers.Go(func() { p.installInline(ctx) })
	for range min(streams, p.queue.Len()) {
		workers.Go(func() {
			for ctx.Err() == nil {
				c := p.next()
				if c == nil {
					return
				}
				p.fetch(ctx, c)
			}
		})
	}
}

// next takes a chunk from the queue, or nil.
func (p *prefetch) next() *chunk {
	p.mu.Lock()
	defer p.mu.Unlock()
	front := p.queue.Front()
	if front == nil {
		return nil
	}
	c := p.queue.Remove(front).(*chunk)
	for _, i := range c.Entries {
		p.chunkOf[i] = nil
	}
	return c
}

// promote moves the chunk of entry i, unless it is under way, to the front of
// the queue.
func (p *prefetch) promote(i int) {
	if queued := p.chunkOf[i]; queued != nil {
		p.queue.MoveToFront(queued)
	}
}

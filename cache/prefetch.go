package cache

import (
	"container/list"
	"context"
	"crypto/sha256"
	"io"
	"slices"
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
	lazy      *lazyFiles // nil: archives are brought like everything else
	command   [sha256.Size]byte
	put       func(localdisk.Entry, io.Reader) error // into local
	planned   func(entries int, bytes int64)         // told what is to be brought, by whoever leads
	done      func(bytes int64)                      // told of each entry that was, or could not be

	loaded chan struct{} // closed by begin; the following are set by then
	holdings
	index   map[protocol.ActionID]int // in found.Entries
	isNew   bool                      // the remote has no manifest of the module
	indexed bool                      // module indexes are among what is promised

	mu      sync.Mutex
	leading bool                  // this process is the one that fetches
	states  []state               // set by begin, too
	refused []int                 // entries that are not what they should be
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
// done. What can be given out lazily waits until bytes are needed.
func (p *prefetch) run(ctx context.Context, l *library) {
	found, err := l.load(ctx, (*manifests).load, func(m *manifests, err error) {
		p.stats.refuse(err)
		p.remote.complain("fetch the manifest", m.key(), err)
	})
	p.isNew = err == nil && found.own.version == "" && len(found.found.Entries) == 0
	p.begin(found)
	if p.lazy == nil {
		p.bring(ctx, l, everything)
		return
	}
	p.bring(ctx, l, func(e *pack.Entry) bool { return e.InPack() && e.Head == nil })
	select {
	case <-p.lazy.ended:
		p.bring(ctx, l, everything)
	case <-ctx.Done():
	}
}

// begin says what is to be brought.
func (p *prefetch) begin(h holdings) {
	p.holdings = h
	if _, reads := p.found.FindEager(p.command); reads && p.lazy != nil {
		p.lazy.end()
	}
	p.states = make([]state, len(p.found.Entries))
	p.index = make(map[protocol.ActionID]int, len(p.found.Entries))
	for i := range p.found.Entries {
		e := &p.found.Entries[i]
		p.index[e.Action] = i
		p.indexed = p.indexed || isModuleIndex(e.Inline)
	}
	close(p.loaded)
}

func everything(*pack.Entry) bool { return true }

// bring brings those entries that are wanted. Of several processes on one machine
// one fetches, and the others find what it brings.
func (p *prefetch) bring(ctx context.Context, l *library, wanted func(*pack.Entry) bool) {
	lock := flock.New(l.own.copy+".lock", flock.SetPermissions(0o600))
	defer lock.Close()
	taken, err := lock.TryLock()
	leading := taken || err != nil // without locks each fetches for itself
	if complete := p.plan(wanted, leading); complete {
		return
	}
	if !leading {
		if _, err := lock.TryLockContext(ctx, followInterval); err != nil {
			return
		}
		p.plan(wanted, true) // without what has come meanwhile
	}
	p.lead(ctx, wanted)
}

// plan looks which of the wanted entries the local tier lacks and, if leading,
// in which chunks to fetch them. It reports whether there are none.
func (p *prefetch) plan(wanted func(*pack.Entry) bool, leading bool) (complete bool) {
	p.mu.Lock()
	states := slices.Clone(p.states)
	p.mu.Unlock()
	var lacking, archives, found []int
	var bytes int64
	for i := range states {
		e := &p.found.Entries[i]
		if states[i] != absent || !wanted(e) {
			continue
		}
		if _, _, err := p.local.Get(e.Action); err == nil {
			found = append(found, i)
			continue
		}
		bytes += e.Size
		if e.Head == nil {
			lacking = append(lacking, i)
		} else {
			archives = append(archives, i)
		}
	}
	lacking = append(lacking, archives...) // as they lie in the packs
	if leading {
		p.planned(len(lacking), bytes)
	}

	p.mu.Lock()
	defer p.mu.Unlock()
	for _, i := range found {
		if p.states[i] == absent {
			p.states[i] = here
		}
	}
	p.leading = leading
	// Whoever waits looks again: what it waits for may be here, or be brought
	// by another process now.
	for i, wait := range p.waiting {
		close(wait)
		delete(p.waiting, i)
	}
	if leading {
		p.chunkOf = make([]*list.Element, len(p.states))
		for _, c := range p.found.Chunks(lacking) {
			queued := p.queue.PushBack(&chunk{Chunk: c})
			for _, i := range c.Entries {
				p.chunkOf[i] = queued
			}
		}
	}
	return len(lacking) == 0
}

// lead brings what plan has found lacking.
func (p *prefetch) lead(ctx context.Context, wanted func(*pack.Entry) bool) {
	var workers sync.WaitGroup
	defer workers.Wait()
	workers.Go(func() { p.installInline(ctx, wanted) })
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

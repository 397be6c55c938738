package cache

import (
	"bytes"
	"container/list"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/gofrs/flock"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/entry"
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

// fetch brings the entries of c.
func (p *prefetch) fetch(ctx context.Context, c *chunk) {
	from := p.found.Packs[c.Pack]
	body, _, err := p.remote.store.Get(ctx, packKey(from), backend.Range{Offset: c.Offset, Length: c.Length})
	if err != nil {
		p.lost(ctx, c, 0, err)
		return
	}
	defer body.Close()
	at := c.Offset
	for n, i := range c.Entries {
		e := &p.found.Entries[i]
		if _, err := io.CopyN(io.Discard, body, e.Offset-at); err != nil {
			p.lost(ctx, c, n, err)
			return
		}
		stream := &witness{Reader: body}
		object := &io.LimitedReader{R: stream, N: e.Length}
		if p.claim(i) {
			err := p.install(e, object)
			if err != nil && stream.err != nil && object.N > 0 {
				p.release(i)
				p.lost(ctx, c, n, err)
				return
			}
			p.installed(i, err)
		}
		if _, err := io.Copy(io.Discard, object); err != nil {
			p.lost(ctx, c, n+1, err)
			return
		}
		at = e.Offset + e.Length
	}
}

// witness keeps the error that its reader met, be it an early end: what could
// not be installed for another reason says nothing about the rest of a chunk.
type witness struct {
	io.Reader
	err error
}

func (w *witness) Read(b []byte) (int, error) {
	n, err := w.Reader.Read(b)
	if err != nil {
		w.err = err
	}
	return n, err
}

// install puts the entry object of e into the local tier.
func (p *prefetch) install(e *pack.Entry, object io.Reader) error {
	body, err := entry.Open(object, e.Action, p.maxObject)
	if err != nil {
		return err
	}
	defer body.Close()
	h := body.Header
	if h.Output != e.Output || h.BodySize != e.Size || !h.Time.Equal(e.Time) {
		return fmt.Errorf("%w: it is not the entry that the manifest promises", entry.ErrCorrupt)
	}
	return p.put(localEntry(e), body)
}

func localEntry(e *pack.Entry) localdisk.Entry {
	return localdisk.Entry{Action: e.Action, Output: e.Output, Size: e.Size, Time: e.Time}
}

// lost gives up the entries of c from the n-th on, after err. A fault of the
// moment, in the middle of a chunk, is worth another request for the rest.
func (p *prefetch) lost(ctx context.Context, c *chunk, n int, err error) {
	rest := c.Entries[n:]
	if n > 0 && !c.retried && len(rest) > 0 && ctx.Err() == nil {
		first := &p.found.Entries[rest[0]]
		again := &chunk{retried: true, Chunk: pack.Chunk{
			Pack:    c.Pack,
			Offset:  first.Offset,
			Length:  c.Offset + c.Length - first.Offset,
			Entries: rest,
		}}
		p.fetch(ctx, again)
		return
	}
	if ctx.Err() != nil {
		return // nobody waits any more
	}
	p.remote.complain("fetch a pack", packKey(p.found.Packs[c.Pack]), err)
	for _, i := range rest {
		if p.claim(i) {
			p.settle(i, err)
		}
	}
}

// installed settles entry i after install.
func (p *prefetch) installed(i int, err error) {
	if err != nil && !corrupt(err) {
		p.remote.warn(fmt.Sprintf("keep what was fetched: %v", err))
	}
	p.settle(i, err)
}

// settle notes what became of entry i and wakes those who wait for it.
func (p *prefetch) settle(i int, err error) {
	if corrupt(err) {
		p.stats.Corrupt.Add(1)
		p.remote.complain("unpack", p.remote.entryKey(p.found.Entries[i].Action), err)
	}
	p.done(p.found.Entries[i].Size)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.states[i] = brought
	if err != nil {
		p.states[i] = forfeited
	}
	if wait := p.waiting[i]; wait != nil {
		close(wait)
		delete(p.waiting, i)
	}
}

// installInline installs the entries that came with the manifest, in order.
func (p *prefetch) installInline(ctx context.Context) {
	for i := range p.found.Entries {
		if ctx.Err() != nil {
			return
		}
		e := &p.found.Entries[i]
		if !e.InPack() && p.claim(i) {
			p.installed(i, p.putInline(e))
		}
	}
}

func (p *prefetch) putInline(e *pack.Entry) error {
	return p.put(localEntry(e), bytes.NewReader(e.Inline))
}

// claim takes it upon the caller to install entry i.
func (p *prefetch) claim(i int) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.states[i] != absent {
		return false
	}
	p.states[i] = bringing
	return true
}

// release takes back a claim.
func (p *prefetch) release(i int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.states[i] = absent
}

// errNotPromised says that the manifest does not name an action.
var errNotPromised = errors.New("not in the manifest")

// await waits until action is in the local tier and returns what it cost to
// build. The error wraps errNotPromised if the manifest does not name it.
func (p *prefetch) await(ctx context.Context, action protocol.ActionID) (time.Duration, error) {
	select {
	case <-p.loaded:
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
	i, promised := p.index[action]
	if !promised {
		return 0, errNotPromised
	}
	e := &p.found.Entries[i]
	if !e.InPack() && p.claim(i) {
		err := p.putInline(e)
		p.installed(i, err)
		return e.Cost, err
	}
	for {
		s, settled := p.look(i)
		switch s {
		case here, brought:
			return e.Cost, nil
		case forfeited:
			return 0, errNotPromised
		}
		var poll <-chan time.Time
		if settled == nil { // another process fetches it
			if _, _, err := p.local.Get(action); err == nil {
				return e.Cost, nil
			}
			poll = time.After(followInterval)
		}
		select {
		case <-settled:
		case <-poll:
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		}
	}
}

// look returns the state of entry i and, if this process is to bring it, what
// is closed when the state has changed; it is then brought next.
func (p *prefetch) look(i int) (state, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.states[i]
	if s == here || s == brought || s == forfeited || !p.leading {
		return s, nil
	}
	p.promote(i)
	if p.waiting[i] == nil {
		p.waiting[i] = make(chan struct{})
	}
	return s, p.waiting[i]
}

// hit reports whether a local hit for action is owed to the prefetch, and what
// it cost to build.
func (p *prefetch) hit(action protocol.ActionID) (time.Duration, bool) {
	if _, known := p.peek(); !known {
		return 0, false
	}
	i, promised := p.index[action]
	if !promised {
		return 0, false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.found.Entries[i].Cost, p.states[i] == brought
}

// holds reports whether the manifest names output for action, as far as is
// known intact.
func (p *prefetch) holds(action protocol.ActionID, output protocol.OutputID) bool {
	if _, known := p.peek(); !known {
		return false
	}
	i, promised := p.index[action]
	if !promised || p.found.Entries[i].Output != output {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.states[i] != forfeited
}

// supersede says that the build has put action itself: what the manifest
// promises for it must not take its place.
func (p *prefetch) supersede(action protocol.ActionID) {
	if _, known := p.peek(); !known {
		return
	}
	i, promised := p.index[action]
	if !promised {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.states[i] == absent || p.states[i] == brought {
		p.states[i] = here
	}
}

// peek returns the manifest that was found, if it is known yet.
func (p *prefetch) peek() (published, bool) {
	select {
	case <-p.loaded:
		return p.found, true
	default:
		return published{Manifest: new(pack.Manifest)}, false
	}
}

// misplaced reports whether the manifest names action but its entry could not
// be brought.
func (p *prefetch) misplaced(action protocol.ActionID) bool {
	if _, known := p.peek(); !known {
		return false
	}
	i, promised := p.index[action]
	p.mu.Lock()
	defer p.mu.Unlock()
	return promised && p.states[i] == forfeited
}

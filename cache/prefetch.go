package cache

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gofrs/flock"

	"github.com/larderbuild/larder/localdisk"
	"github.com/larderbuild/larder/pack"
)

const (
	// streams is how many chunks are fetched at once. Each is unpacked as it
	// comes, through zstd's window of at most 4 MiB, so what is in flight stays
	// below 64 MiB however large the packs are.
	streams = 8

	// followInterval is the pause between two looks of a session at what another
	// one is fetching on the same machine.
	followInterval = 5 * time.Millisecond

	// stumblePause is the pause before a session tries again to bring what faults
	// have kept away for longer than the store waits.
	stumblePause = 10 * time.Second
)

// prefetch brings what the manifests promise to the local tier, before the build
// asks for it. Small bodies come with the manifest. The others come in chunks of
// packs, in the order in which the last builds asked for them. What only siblings'
// manifests promise is brought on demand. So is all that a manifest promises which a referral
// has named.
type prefetch struct {
	Config
	remote  *remote
	library *library

	// install puts an entry into the local tier, unless that has one of the action.
	install func(localdisk.Entry, io.Reader) (isNew bool, err error)

	loaded chan struct{} // closed once the next two are set
	*promises
	states *states

	queue    chunkQueue  // what is still to be fetched
	demands  demands     // what siblings' manifests promise
	stumbled atomic.Bool // a fault has kept a chunk away, since persist looked last
}

func newPrefetch(r *remote, l *library) *prefetch {
	return &prefetch{
		Config:  r.Config,
		remote:  r,
		library: l,
		install: func(e localdisk.Entry, body io.Reader) (isNew bool, err error) {
			_, isNew, err = r.install(e, body)
			return isNew, err
		},
		loaded: make(chan struct{}),
	}
}

// load loads the manifests and returns what they promise. A manifest that can't be
// loaded promises nothing.
func (p *prefetch) load(ctx context.Context) *promises {
	found, err := p.library.load(ctx, false, func(m *manifests, err error) {
		p.Stats.countRefusal(err)
		p.remote.complain("fetch the manifest", m.key(), err)
	})
	return newPromises(found, err == nil)
}

// begin says what is promised. It is called once.
func (p *prefetch) begin(promised *promises) {
	p.promises = promised
	p.states = newStates(len(promised.merged.Entries), promised.own)
	close(p.loaded)
}

// known returns what is promised, or nil as long as no manifest is loaded.
func (p *prefetch) known() *promises {
	select {
	case <-p.loaded:
		return p.promises
	default:
		return nil
	}
}

// await returns what is promised, once the manifests are loaded.
func (p *prefetch) await(ctx context.Context) (*promises, error) {
	if known := p.known(); known != nil {
		return known, nil
	}
	select {
	case <-p.loaded:
		return p.promises, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// wanted chooses the entries that bring brings.
type wanted func(*pack.Entry) bool

// everything wants all entries.
func everything(*pack.Entry) bool { return true }

// bring brings those entries that are wanted, until each is settled, or ctx is done. Of
// several processes on one machine one fetches, and the others wait for what it brings.
func (p *prefetch) bring(ctx context.Context, w wanted) {
	lock := flock.New(p.library.written.copy+".lock", flock.SetPermissions(0o600))
	defer lock.Close()
	taken, err := lock.TryLock()
	leading := taken || err != nil // without locks each fetches for itself
	if complete := p.plan(w, leading); complete {
		return
	}
	if !leading {
		if _, _ = lock.TryLockContext(ctx, followInterval); ctx.Err() != nil {
			return
		}
		p.plan(w, true) // without what has come meanwhile
	}
	p.lead(ctx, w)
}

// plan looks which of the wanted entries the local tier lacks and, if this process
// is leading, queues the chunks in which they are fetched. It reports whether the
// local tier lacks none.
func (p *prefetch) plan(w wanted, leading bool) (complete bool) {
	var lacking, archives []int
	for i, s := range p.states.all()[:p.own] {
		e := &p.merged.Entries[i]
		if !s.lacking() || !w(e) {
			continue
		}
		if _, _, err := p.Local.Get(e.Action); err == nil {
			p.states.happen(noticed, i)
			continue
		}
		if e.Size > p.MaxObject {
			p.forgo(i)
			continue
		}
		if e.Head == nil {
			lacking = append(lacking, i)
		} else {
			archives = append(archives, i)
		}
	}
	lacking = append(lacking, archives...) // in the order in which packs hold them
	if leading {
		lacking = p.fitting(lacking)
		p.Progress.planned(len(lacking), p.size(lacking))
		p.queue.push(p.merged.Chunks(lacking))
	}
	p.states.setLeading(leading)
	return len(lacking) == 0
}

// forgo makes entry i unreached, because this session does not bring it. For others it is
// good.
func (p *prefetch) forgo(i int) {
	if p.states.happen(claimed, i) {
		p.states.happen(failed, i)
	}
}

// fitting returns those entries, of lacking, that the local tier has room for. The others
// are fetched alone if a get asks for them.
func (p *prefetch) fitting(lacking []int) []int {
	if len(lacking) == 0 {
		return nil
	}
	room := p.Local.Room(p.MaxSize)
	return slices.DeleteFunc(lacking, func(i int) bool {
		e := &p.merged.Entries[i]
		room -= e.Size
		if room >= 0 || !e.InPack() {
			return false
		}
		p.forgo(i)
		return true
	})
}

// size returns the bytes of the bodies of entries.
func (p *prefetch) size(entries []int) (bytes int64) {
	for _, i := range entries {
		bytes += p.merged.Entries[i].Size
	}
	return bytes
}

// lead brings what plan has found lacking.
func (p *prefetch) lead(ctx context.Context, w wanted) {
	var workers sync.WaitGroup
	defer workers.Wait()
	workers.Go(func() { p.installInline(ctx, w) })
	for range min(streams, p.queue.len()) {
		workers.Go(func() {
			for ctx.Err() == nil {
				c, ok := p.queue.next()
				if !ok {
					return
				}
				p.fetch(ctx, c)
			}
		})
	}
}

// persist brings what faults have kept away, once they are over, until ctx is done.
func (p *prefetch) persist(ctx context.Context) {
	for p.stumbled.Swap(false) {
		select {
		case <-time.After(stumblePause):
			p.bring(ctx, everything)
		case <-ctx.Done():
		}
	}
}

// wait returns once e, which is promised, is in the local tier. It has e brought
// next. The error wraps errNotPromised if e can't be brought.
func (p *prefetch) wait(ctx context.Context, e *pack.Entry) error {
	i := p.index[e.Action]
	if !e.InPack() && p.states.happen(claimed, i) {
		p.putInline(i)
	}
	p.demand(i)
	for {
		now, changed := p.states.look(i)
		switch now {
		case present, brought:
			return nil
		case unreached, forfeited:
			return errNotPromised
		}
		var poll <-chan time.Time
		if changed == nil { // another process fetches it
			if _, _, err := p.Local.Get(e.Action); err == nil {
				return nil
			}
			poll = time.After(followInterval)
		} else {
			p.queue.promote(i)
		}
		select {
		case <-changed:
		case <-poll:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// insist returns once e, which is promised, is in the local tier, as wait does. If it was not
// brought for want of room, or because of a fault, insist fetches it alone.
func (p *prefetch) insist(ctx context.Context, e *pack.Entry) error {
	err := p.wait(ctx, e)
	i := p.index[e.Action]
	if !errors.Is(err, errNotPromised) || p.states.get(i) != unreached || !e.InPack() || e.Size > p.MaxObject {
		return err
	}
	if _, err := p.fetchOnce(ctx, p.merged.Chunks([]int{i})[0]); err != nil {
		return err
	}
	return p.wait(ctx, e)
}

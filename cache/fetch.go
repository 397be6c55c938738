package cache

import (
	"bytes"
	"context"
	"fmt"
	"io"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/entry"
	"github.com/larderbuild/larder/localdisk"
	"github.com/larderbuild/larder/pack"
)

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
	body, err := openPromised(object, e, p.want(e))
	if err != nil {
		return err
	}
	defer body.Close()
	return p.put(localEntry(e), body)
}

// want returns what the entry object of e, in its pack, must be.
func (p *prefetch) want(e *pack.Entry) entry.Want {
	return entry.Want{Action: e.Action, Scope: p.found.Packs[e.Pack].Scope, MaxSize: p.maxObject, Trust: p.remote.Trust}
}

// openPromised returns the body of an entry object, which is to be the one that
// the manifest promises as e, and as w wants it. The caller closes it.
func openPromised(object io.Reader, e *pack.Entry, w entry.Want) (*entry.Reader, error) {
	body, err := entry.Open(object, w)
	if err != nil {
		return nil, err
	}
	h := body.Header
	if h.Output != e.Output || h.BodySize != e.Size || !h.Time.Equal(e.Time) {
		body.Close()
		return nil, fmt.Errorf("%w: it is not the entry that the manifest promises", entry.ErrCorrupt)
	}
	return body, nil
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
	if err != nil && !refused(err) {
		p.remote.warn(fmt.Sprintf("keep what was fetched: %v", err))
	}
	p.settle(i, err)
}

// settle notes what became of entry i and wakes those who wait for it.
func (p *prefetch) settle(i int, err error) {
	e := &p.found.Entries[i]
	if refused(err) && e.InPack() { // others were believed with the manifest
		p.stats.refuse(err)
		p.remote.complain("unpack", packKey(p.found.Packs[e.Pack]), err)
	}
	p.done(e.Size)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.states[i] = brought
	if err != nil {
		p.states[i] = forfeited
	}
	if refused(err) {
		p.refused = append(p.refused, i)
	}
	if wait := p.waiting[i]; wait != nil {
		close(wait)
		delete(p.waiting, i)
	}
}

// installInline installs those wanted entries that came with the manifest, in
// their order.
func (p *prefetch) installInline(ctx context.Context, wanted func(*pack.Entry) bool) {
	for i := range p.found.Entries {
		if ctx.Err() != nil {
			return
		}
		e := &p.found.Entries[i]
		if !e.InPack() && wanted(e) && p.claim(i) {
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

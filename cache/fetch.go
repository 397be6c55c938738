package cache

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/entry"
	"github.com/larderbuild/larder/localdisk"
	"github.com/larderbuild/larder/pack"
)

// fetch brings the entries of c. The store waits a fault out; what it can't bring all the
// same is left to a later attempt.
func (p *prefetch) fetch(ctx context.Context, c pack.Chunk) {
	fetched, err := p.fetchOnce(ctx, c)
	if err == nil || ctx.Err() != nil { // nobody waits any more
		return
	}
	p.remote.complain("fetch a pack", packKey(p.merged.Packs[c.Pack]), err)
	if !isLoss(err) {
		p.stumbled.Store(true)
	}
	for _, i := range c.Entries[fetched:] {
		if p.states.happen(claimed, i) {
			p.settle(i, false, err)
		}
	}
}

// fetchOnce brings the entries of c by one request. It returns how many entries, from the
// first on, are settled, and the error that stopped it.
func (p *prefetch) fetchOnce(ctx context.Context, c pack.Chunk) (fetched int, err error) {
	objects, err := p.remote.openChunk(ctx, p.merged.Packs[c.Pack], c)
	if err != nil {
		return 0, err
	}
	defer objects.Close()
	for n, i := range c.Entries {
		if !p.states.happen(claimed, i) {
			continue
		}
		isNew, err := p.unpack(&p.merged.Entries[i], objects.Reader)
		if broken := objects.Err(); err != nil && broken != nil {
			p.settle(i, false, broken)
			return n + 1, broken
		}
		p.finish(i, isNew, err)
	}
	return len(c.Entries), nil
}

// chunkReader reads the entry objects of a chunk, out of the answer to one request.
type chunkReader struct {
	*pack.Reader
	body io.Closer
}

// openChunk asks for c, which is a part of the pack from. The caller closes the chunkReader.
func (r *remote) openChunk(ctx context.Context, from pack.Pack, c pack.Chunk) (*chunkReader, error) {
	body, _, err := r.store.Get(ctx, packKey(from), backend.Range{Offset: c.Offset, Length: c.Length})
	if err != nil {
		return nil, err
	}
	return &chunkReader{pack.NewReader(body, c.Offset), body}, nil
}

func (c *chunkReader) Close() error {
	_ = c.Reader.Close() // it always returns nil
	return c.body.Close()
}

// witness keeps the last error of its reader. So Put can tell a body that breaks off from a
// disk that refuses it.
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

// broke reports whether the reader failed before its end.
func (w *witness) broke() bool { return w.err != nil && w.err != io.EOF }

// unpack installs e, whose entry object is the next one of objects.
func (p *prefetch) unpack(e *pack.Entry, objects *pack.Reader) (isNew bool, err error) {
	body, err := openPacked(objects, e, p.remote.want(p.merged.Packs[e.Pack].Scope, e.Action))
	if err != nil {
		return false, err
	}
	defer body.Close()
	return p.install(localEntry(e), body)
}

var (
	errNotTheEntry = fmt.Errorf("%w: it is not the entry that the manifest promises", entry.ErrCorrupt)
	errReferral    = fmt.Errorf("%w: it is a referral", errNotTheEntry)
)

// openPacked returns the body of e, whose entry object is the next one of objects and has to
// be as w wants it. The caller closes the body.
func openPacked(objects *pack.Reader, e *pack.Entry, w entry.Want) (*entry.Reader, error) {
	object, err := objects.Next(e)
	if err != nil {
		return nil, err
	}
	w.Framed = true
	return openPromised(object, e, w)
}

// openPromised returns the body of an entry object. The object has to be the one that
// the manifest promises as e, and as w wants it. The caller closes the body.
func openPromised(object io.Reader, e *pack.Entry, w entry.Want) (*entry.Reader, error) {
	w.MaxSize = e.Size
	body, err := entry.Open(object, w)
	if err != nil {
		if errors.Is(err, entry.ErrTooLarge) {
			err = errNotTheEntry
		}
		return nil, err
	}
	switch h := body.Header; {
	case body.Reference != "":
		err = errReferral
	case h.Output != e.Output || h.BodySize != e.Size || !h.Time.Equal(e.Time):
		err = errNotTheEntry
	}
	if err != nil {
		body.Close()
		return nil, err
	}
	return body, nil
}

// localEntry returns e as an entry of the local tier.
func localEntry(e *pack.Entry) localdisk.Entry {
	return localdisk.Entry{Action: e.Action, Output: e.Output, Size: e.Size, Time: e.Time}
}

// finish settles entry i, which this goroutine has claimed, after an attempt to install it.
func (p *prefetch) finish(i int, isNew bool, err error) {
	if err != nil && !refused(err) && err != errHomebound {
		p.remote.warn(fmt.Sprintf("keep what was fetched: %v", err))
	}
	p.settle(i, isNew, err)
}

// settle notes what became of entry i, which this goroutine has claimed. If it is not new,
// another process has put the action.
func (p *prefetch) settle(i int, isNew bool, err error) {
	e := &p.merged.Entries[i]
	if refused(err) { // out of a pack: an inline body is believed with its manifest
		p.Stats.countRefusal(err)
		p.remote.complain("unpack", packKey(p.merged.Packs[e.Pack]), err)
		p.states.refuse(i)
	}
	p.Progress.done(e.Size)
	switch {
	case isLoss(err):
		p.states.happen(lost, i)
	case err != nil:
		p.states.happen(failed, i)
	case isNew:
		p.states.happen(installed, i)
	default:
		p.states.happen(superseded, i)
	}
}

// isLoss reports whether err says that what was asked for can't be had, now or later. All
// other errors are faults that may pass.
func isLoss(err error) bool {
	return refused(err) || errors.Is(err, backend.ErrNotFound) || errors.Is(err, backend.ErrDenied)
}

// installInline installs those wanted entries that came with the manifest, in
// their order.
func (p *prefetch) installInline(ctx context.Context, w wanted) {
	for i := range p.own {
		if ctx.Err() != nil {
			return
		}
		e := &p.merged.Entries[i]
		if !e.InPack() && w(e) && p.states.happen(claimed, i) {
			p.putInline(i)
		}
	}
}

// putInline installs entry i, which this goroutine has claimed and whose body stands in the
// manifest.
func (p *prefetch) putInline(i int) {
	e := &p.merged.Entries[i]
	isNew, err := p.install(localEntry(e), bytes.NewReader(e.Inline))
	p.finish(i, isNew, err)
}

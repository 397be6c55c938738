package cache

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"os"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/entry"
	"github.com/larderbuild/larder/pack"
	"github.com/larderbuild/larder/protocol"
	"github.com/larderbuild/larder/secrets"
)

// pack writes the fresh entries into new packs, archives behind the others, and the
// small ones into next itself. Afterwards next names no pack in which nothing lies.
func (d *draft) pack(ctx context.Context) error {
	p := &packer{draft: d, gone: make(map[int]bool)}
	defer p.close()
	var archives, others []int
	for _, i := range d.fresh {
		p.rest += d.next.Entries[i].Size
		if d.next.Entries[i].Head != nil {
			archives = append(archives, i)
		} else {
			others = append(others, i)
		}
	}
	d.Progress.planned(len(d.fresh), p.rest)
	for _, part := range [][]int{others, archives} {
		if err := p.write(ctx, part); err != nil {
			return err
		}
		if err := p.endFrame(); err != nil {
			return err
		}
	}
	if err := p.put(ctx); err != nil {
		return err
	}
	d.tidy(p.gone)
	return nil
}

// packer writes entries of a draft into packs, one pack after the other.
type packer struct {
	*draft
	gone map[int]bool // entries that can be had nowhere, or have to stay local
	rest int64        // bytes of the bodies that are still to be written

	// Of the pack that is being written, if there is one.
	file   *os.File
	w      *pack.Writer
	packed []int // entries in it
}

// reserve makes room for an entry object of at most size bytes. If there is none in the
// pack that is being written, it puts that, and begins another one.
func (p *packer) reserve(ctx context.Context, size int64) error {
	if p.w != nil && p.w.Size() > 0 && p.w.Size()+size > p.limits.pack {
		if err := p.put(ctx); err != nil {
			return err
		}
	}
	if p.w != nil {
		return nil
	}
	file, err := p.createTemp(p.session, max(size, min(p.rest, p.limits.pack)))
	if err != nil {
		return err
	}
	p.file, p.w = file, pack.NewWriter(file, p.manifests.remote.signer())
	p.w.Thorough = p.compacts
	return nil
}

// endFrame has what comes begin a frame of its own.
func (p *packer) endFrame() error {
	if p.w == nil {
		return nil
	}
	return p.w.EndFrame()
}

// close removes the file of the pack that is being written.
func (p *packer) close() {
	if p.file != nil {
		p.file.Close()
		os.Remove(p.file.Name())
	}
	p.file, p.w, p.packed = nil, nil, nil
}

// write writes the entries of part. Those that the local tier lacks come last, out of
// their old packs.
func (p *packer) write(ctx context.Context, part []int) error {
	var lacking []int
	for _, i := range part {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		switch err := p.writeLocal(ctx, i); {
		case errors.Is(err, errLacking) && p.next.Entries[i].InPack():
			lacking = append(lacking, i)
			continue
		case errors.Is(err, errLacking), errors.Is(err, errWithheld):
			p.gone[i] = true
		case err != nil:
			return err
		}
		p.done(i)
	}
	for _, c := range p.next.Chunks(lacking) {
		if err := p.move(ctx, c); err != nil {
			return err
		}
	}
	return nil
}

// done notes that nothing more is to be done with entry i.
func (p *packer) done(i int) {
	size := p.next.Entries[i].Size
	p.rest -= size
	p.Progress.done(size)
}

// errLacking says that the local tier does not have an entry's body.
var errLacking = errors.New("gone")

// writeLocal writes the body of entry i, out of the local tier, into the entry itself or, as
// an entry object, into a pack.
func (p *packer) writeLocal(ctx context.Context, i int) error {
	e := &p.next.Entries[i]
	local, path, err := p.Local.Get(e.Action)
	if err != nil || local.Output != e.Output {
		return errLacking
	}
	body, err := os.Open(path)
	if err != nil {
		return errLacking
	}
	defer body.Close()
	scan := p.withheld.secrets.NewScan()
	if !intact(body, e, scan) {
		return errLacking
	}
	if err := p.withheld.check(scan, e.Action, e.Output); err != nil {
		return err
	}
	if p.inline(e) {
		p.inlined += e.Size
		e.Inline, err = io.ReadAll(body)
		return err
	}
	if err := p.reserve(ctx, e.ObjectSize()); err != nil {
		return err
	}
	e.Span, err = p.w.Add(entry.Header{
		Action: e.Action, Output: e.Output, BodySize: e.Size, Time: e.Time, Cost: e.Cost,
	}, &cancellable{body, ctx})
	if err == nil {
		p.packed = append(p.packed, i)
	}
	return err
}

const (
	// smallBody is the size in bytes up to which a body stands in the manifest,
	// be it an archive or not.
	smallBody = 1 << 10

	// maxInlined is the size in bytes of all inline bodies together up to which a
	// body over smallBody stands there, too, unless it is an archive. Most such
	// bodies are module indexes, which a build wants first.
	maxInlined = 4 << 20
)

// inline reports whether the body of e is to stand in the manifest. A body that lies
// in a pack stays in one.
func (d *draft) inline(e *pack.Entry) bool {
	return !e.InPack() && e.Head == nil && e.Size <= pack.MaxInline &&
		(e.Size <= smallBody || d.inlined+e.Size <= maxInlined)
}

// intact reports whether body has the size and hash of e. It shows body to scan, and then
// rewinds it. The local tier may be the go command's own cache, where little is checked.
func intact(body *os.File, e *pack.Entry, scan *secrets.Scan) bool {
	sum := sha256.New()
	_, err := io.CopyBuffer(io.MultiWriter(sum, scan), struct{ io.Reader }{body}, make([]byte, min(64<<10, e.Size+1)))
	if err == nil {
		_, err = body.Seek(0, io.SeekStart)
	}
	return err == nil && protocol.OutputID(sum.Sum(nil)) == e.Output
}

// move copies the entry objects of c from their old pack to a new one. It does not check
// them: their readers do. What can't be unpacked any more is gone.
func (p *packer) move(ctx context.Context, c pack.Chunk) error {
	from := p.next.Packs[c.Pack]
	objects, err := p.manifests.remote.openChunk(ctx, from, c)
	if errors.Is(err, backend.ErrNotFound) {
		p.lost[from.ID] = true
		for _, i := range c.Entries {
			p.gone[i] = true
			p.done(i)
		}
		return nil
	}
	if err != nil {
		return err
	}
	defer objects.Close()
	for _, i := range c.Entries {
		e := &p.next.Entries[i]
		if err := p.reserve(ctx, e.ObjectSize()); err != nil {
			return err
		}
		object, err := objects.Next(e)
		if err == nil {
			e.Span, err = p.w.Copy(e, object)
		}
		switch {
		case refused(err):
			p.gone[i] = true
		case err != nil:
			return err
		default:
			p.packed = append(p.packed, i)
		}
		p.done(i)
	}
	return nil
}

// put stores the pack that is being written, if anything lies in it.
func (p *packer) put(ctx context.Context) error {
	defer p.close()
	if len(p.packed) == 0 {
		return nil
	}
	id, size, sum, err := p.w.Finish()
	if err != nil {
		return err
	}
	made := pack.Pack{Scope: p.manifests.scope, ID: id, Size: size, Own: true}
	ended := p.pace.begin(size)
	_, err = p.manifests.remote.store.Put(ctx, packKey(made), p.file, backend.PutOptions{Size: size, MD5: sum})
	ended(err)
	if err != nil {
		return err
	}
	for _, i := range p.packed {
		e := &p.next.Entries[i]
		p.packedSize += e.Size
		e.Pack = p.packIndex(made)
		p.places[e.Action] = placement{e.Output, made, e.Span, e.Time}
	}
	return nil
}

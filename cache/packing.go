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

// pack writes the fresh entries into a new pack, archives behind the others, and the
// small ones into next itself.
func (d *draft) pack(ctx context.Context) error {
	if len(d.fresh) == 0 {
		return nil
	}
	var size int64
	for _, i := range d.fresh {
		size += d.next.Entries[i].Size
	}
	file, err := d.createTemp(d.session, size)
	if err != nil {
		return err
	}
	defer os.Remove(file.Name())
	defer file.Close()

	d.Progress.planned(len(d.fresh), size)
	var archives, others []int
	for _, i := range d.fresh {
		if d.next.Entries[i].Head != nil {
			archives = append(archives, i)
		} else {
			others = append(others, i)
		}
	}
	w := pack.NewWriter(file, d.manifests.remote.signer())
	gone := make(map[int]bool)
	for _, part := range [][]int{others, archives} {
		if err := d.write(ctx, w, part, gone); err != nil {
			return err
		}
	}
	if err := d.put(ctx, w, file, gone); err != nil {
		return err
	}
	d.tidy(gone)
	return nil
}

// write writes the entries of part. Those that the local tier lacks come last, out of
// their old packs. write adds to gone what can be had nowhere or has to stay local.
func (d *draft) write(ctx context.Context, w *pack.Writer, part []int, gone map[int]bool) error {
	var lacking []int
	for _, i := range part {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		e := &d.next.Entries[i]
		switch err := d.writeLocal(ctx, w, e); {
		case errors.Is(err, errLacking) && e.Length > 0:
			lacking = append(lacking, i)
			continue
		case errors.Is(err, errLacking), errors.Is(err, errWithheld):
			gone[i] = true
		case err != nil:
			return err
		}
		d.Progress.done(e.Size)
	}
	for _, c := range d.next.Chunks(lacking) {
		if err := d.move(ctx, w, c, gone); err != nil {
			return err
		}
	}
	return nil
}

// errLacking says that the local tier does not have an entry's body.
var errLacking = errors.New("gone")

// writeLocal writes the body of e, out of the local tier, into e itself or, as an entry
// object, to w.
func (d *draft) writeLocal(ctx context.Context, w *pack.Writer, e *pack.Entry) error {
	local, path, err := d.Local.Get(e.Action)
	if err != nil || local.Output != e.Output {
		return errLacking
	}
	body, err := os.Open(path)
	if err != nil {
		return errLacking
	}
	defer body.Close()
	scan := d.withheld.secrets.NewScan()
	if !intact(body, e, scan) {
		return errLacking
	}
	if err := d.withheld.check(scan, e.Action, e.Output); err != nil {
		return err
	}
	if d.inline(e) {
		d.inlined += e.Size
		e.Inline, err = io.ReadAll(body)
		return err
	}
	e.Offset, e.Length, err = w.Add(entry.Header{
		Action: e.Action, Output: e.Output, BodySize: e.Size, Time: e.Time, Cost: e.Cost,
	}, &cancellable{body, ctx})
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

// move copies the entry objects of c from their old pack to w. It does not check them:
// their readers do.
func (d *draft) move(ctx context.Context, w *pack.Writer, c pack.Chunk, gone map[int]bool) error {
	from := packKey(d.next.Packs[c.Pack])
	chunk, _, err := d.manifests.remote.store.Get(ctx, from, backend.Range{Offset: c.Offset, Length: c.Length})
	if errors.Is(err, backend.ErrNotFound) {
		for _, i := range c.Entries {
			gone[i] = true
			d.Progress.done(d.next.Entries[i].Size)
		}
		return nil
	}
	if err != nil {
		return err
	}
	defer chunk.Close()
	at := c.Offset
	for _, i := range c.Entries {
		e := &d.next.Entries[i]
		if _, err := io.CopyN(io.Discard, chunk, e.Offset-at); err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		length := e.Length
		at = e.Offset + length
		if e.Offset, e.Length, err = w.Copy(io.LimitReader(chunk, length)); err != nil {
			return err
		}
		gone[i] = e.Length != length // the pack is cut
		d.Progress.done(e.Size)
	}
	return nil
}

// put stores the pack that w has written to file, if anything lies in it.
func (d *draft) put(ctx context.Context, w *pack.Writer, file *os.File, gone map[int]bool) error {
	var packed []int
	for _, i := range d.fresh {
		if d.next.Entries[i].InPack() && !gone[i] {
			packed = append(packed, i)
		}
	}
	if len(packed) == 0 {
		return nil
	}
	id, size, sum, err := w.Finish()
	if err != nil {
		return err
	}
	made := pack.Pack{Scope: d.manifests.scope, ID: id, Size: size, Own: true}
	ended := d.pace.begin(size)
	_, err = d.manifests.remote.store.Put(ctx, packKey(made), file, backend.PutOptions{Size: size, MD5: sum})
	ended(err)
	if err != nil {
		return err
	}
	for _, i := range packed {
		e := &d.next.Entries[i]
		d.packedSize += e.Size
		e.Pack = d.packIndex(made)
		d.packed[e.Action] = packing{e.Output, made, e.Offset, e.Length}
	}
	return nil
}

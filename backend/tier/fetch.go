package tier

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/larderbuild/larder/backend"
)

// flight is a request for some blocks of an object, in order. Store.mu guards it.
type flight struct {
	changed chan struct{} // closed, and replaced, when a block has come, and at the end
	unread  int           // blocks that came since somebody had the object open
	err     error         // why it ended too early
}

// maxUnread is how many blocks of an object a flight brings while nobody has it open. A client
// that hangs up, or only wants to know how large an object is, does not make the store send all
// of it; but what is nearly there may as well come.
const maxUnread = 16

var (
	errChanged = errors.New("the object was replaced while it was read")
	errUnread  = errors.New("nobody reads the object")
	errClosed  = errors.New("the tier is closed")
)

// await waits until the file of o has a block. If nobody fetches that block, await does, together
// with those behind it, up to end, that are missing.
func (t *Store) await(ctx context.Context, o *object, block, end int64) error {
	for {
		t.mu.Lock()
		if o.has(block) {
			t.mu.Unlock()
			return nil
		}
		f := o.coming[block]
		if f == nil && t.reading.Err() != nil {
			t.mu.Unlock()
			return errClosed
		}
		if f == nil {
			f = t.fetch(o, block, end)
		}
		changed := f.changed
		t.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		t.mu.Lock()
		failed := !o.has(block) && o.coming[block] != f
		t.mu.Unlock()
		if failed && !errors.Is(f.err, errUnread) { // which was before this reader came
			return f.err
		}
	}
}

// fetch begins to bring blocks of o: from first on, up to one that is there or is coming already, or
// up to end. The caller has locked t.mu.
func (t *Store) fetch(o *object, first, end int64) *flight {
	last := first + 1
	for last < end && !o.has(last) && o.coming[last] == nil {
		last++
	}
	f := t.expect(o, first, last)
	t.group.Go(func() {
		r := backend.Range{Offset: first * blockSize, Length: min(last*blockSize, o.Size) - first*blockSize}
		body, obj, err := t.store.Get(t.reading, o.Key, r)
		if err == nil && (obj.Version != o.Version || obj.Size != o.Size) {
			body.Close()
			err = errChanged
		}
		var file *os.File
		if err == nil {
			if file, err = os.OpenFile(o.path, os.O_WRONLY, 0); err != nil {
				body.Close()
				err = ofDisk(err)
			}
		}
		if err != nil {
			t.landed(o, f, first, last, err)
			return
		}
		t.bring(o, f, first, last, body, file)
	})
	return f
}

// expect returns a new flight that will bring the blocks of o from first up to end. The caller has
// locked t.mu.
func (t *Store) expect(o *object, first, end int64) *flight {
	f := &flight{changed: make(chan struct{})}
	if o.coming == nil {
		o.coming = make(map[int64]*flight)
	}
	for block := first; block < end; block++ {
		o.coming[block] = f
	}
	o.flights++
	return f
}

// bring writes blocks of o, from first up to end, to its file, as body has them. It closes both.
func (t *Store) bring(o *object, f *flight, first, end int64, body io.ReadCloser, file *os.File) {
	var err error
	for block := first; block < end && err == nil; block++ {
		_, err = io.CopyN(diskWriter{io.NewOffsetWriter(file, block*blockSize)}, body, o.sizeOf(block))
		if err == nil {
			err = t.came(o, f, block)
		}
		t.evict()
	}
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	body.Close()
	err = errors.Join(err, ofDisk(file.Close()))
	if saved := t.save(o); saved != nil {
		t.Log.Error("what the tier has will not be known to the next process", "err", saved)
	}
	t.landed(o, f, first, end, err)
}

// came notes that a block has come. It returns errUnread if no more of them need come.
func (t *Store) came(o *object, f *flight, block int64) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := o.mark(block)
	if !o.gone {
		t.size += n
	}
	delete(o.coming, block)
	close(f.changed)
	f.changed = make(chan struct{})
	if f.unread++; o.readers > 0 {
		f.unread = 0
	}
	if f.unread >= maxUnread {
		return errUnread
	}
	return nil
}

// landed notes that f, which was to bring the blocks from first up to end, is over.
func (t *Store) landed(o *object, f *flight, first, end int64, err error) {
	t.mu.Lock()
	if err != nil {
		f.err = fmt.Errorf("an object breaks off: %w", err)
	}
	for block := first; block < end; block++ {
		if o.coming[block] == f {
			delete(o.coming, block)
		}
	}
	close(f.changed)
	t.mu.Unlock()
	if errors.Is(err, errChanged) || errors.Is(err, backend.ErrNotFound) || isOfDisk(err) {
		t.drop(o)
	}
	t.release(o, &o.flights)
}

package tier

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/larderbuild/larder/backend"
)

// attempts is how often a Get looks for an object that others replace or that makes room at once.
const attempts = 3

func (t *Store) Get(ctx context.Context, key string, r backend.Range) (io.ReadCloser, backend.Object, error) {
	if ctx.Err() != nil {
		return nil, backend.Object{}, backend.Wrap(ctx, "get", key, ctx.Err())
	}
	for range attempts {
		o, err := t.find(ctx, key, r)
		if err != nil && isOfDisk(err) {
			t.Log.Error("the tier can't be written, so the store itself is read", "err", err)
			break
		}
		if err != nil {
			return nil, backend.Object{}, backend.Wrap(ctx, "get", key, err)
		}
		if o == nil {
			continue
		}
		body, err := t.read(ctx, o, r)
		if err == nil {
			return backend.NewBody(ctx, key, body), o.object(), nil
		}
		t.release(o)
		t.drop(o) // its file is lost
	}
	return t.store.Get(ctx, key, r)
}

// isOfDisk reports whether err is one of the tier's files.
func isOfDisk(err error) bool {
	var path *fs.PathError
	return errors.As(err, &path)
}

// question is a request that asks the store what lies under a key. Many may wait for its answer.
type question struct {
	done chan struct{} // closed when err is set
	err  error
}

// find returns what lies under key, and nil if that has to be looked for again. It asks the
// store if need be, for r, as that is what will be read. The caller releases the object.
func (t *Store) find(ctx context.Context, key string, r backend.Range) (*object, error) {
	t.mu.Lock()
	o := t.objects[key]
	if o != nil && (o.Dirty || t.Immutable(key) || time.Since(o.checked) < t.fresh) {
		o.users++
		o.used = time.Now()
		t.mu.Unlock()
		return o, nil
	}
	if at, ok := t.absent[key]; ok && o == nil && time.Since(at) < t.fresh {
		t.mu.Unlock()
		return nil, backend.ErrNotFound
	}
	q := t.asking[key]
	if q == nil {
		q = &question{done: make(chan struct{})}
		t.asking[key] = q
		t.group.Go(func() {
			q.err = t.ask(q, key, o, r)
			close(q.done)
		})
	}
	t.mu.Unlock()
	select {
	case <-q.done:
		return nil, q.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// ask asks the store what lies under key. If there is an object, the tier has it afterwards, and
// the blocks that r touches are on their way, unless somebody has written the object meanwhile. o
// is what the tier has of it; it may be nil.
func (t *Store) ask(q *question, key string, o *object, r backend.Range) error {
	if o != nil {
		return t.recheck(q, o)
	}
	first := r.Offset / blockSize
	whole := backend.Range{Offset: first * blockSize}
	if r.Length > 0 {
		whole.Length = blocks(r.Offset+r.Length)*blockSize - whole.Offset
	}
	body, obj, err := t.store.Get(t.reading, key, whole)
	if err != nil {
		t.answered(q, key, err)
		return err
	}
	file, err := t.newFile()
	if err != nil {
		t.answered(q, key, err)
		body.Close()
		return err
	}
	o = &object{facts: newFacts(key, obj.Size), path: file.Name(), checked: time.Now(), used: time.Now()}
	o.Version, o.Reported = obj.Version, obj.Version
	end := blocks(obj.Size)
	if whole.Length > 0 {
		end = min(end, first+whole.Length/blockSize)
	}
	t.mu.Lock()
	current := t.asking[key] == q
	var f *flight
	if current {
		f = t.expect(o, first, end)
		t.place(o) // the place of nothing
	}
	t.mu.Unlock()
	if !current {
		body.Close()
		_ = file.Close() // it is empty
		t.discard(o)
		return nil
	}
	t.group.Go(func() { t.bring(o, f, first, end, body, file) })
	return nil
}

// answered notes that q about key has no object as its answer, but err. It reports whether that
// still holds: somebody may have written the object meanwhile.
func (t *Store) answered(q *question, key string, err error) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.asking[key] != q {
		return false
	}
	delete(t.asking, key)
	if errors.Is(err, backend.ErrNotFound) {
		t.missing(key)
	}
	return true
}

// recheck asks the store whether it still has o.
func (t *Store) recheck(q *question, o *object) error {
	obj, err := t.head(t.reading, o.Key, o.Size)
	current := t.answered(q, o.Key, err)
	switch {
	case !current:
		return nil
	case err != nil && !errors.Is(err, backend.ErrNotFound) && !errors.Is(err, backend.ErrDenied):
		t.Log.Warn("the store does not say whether an object has changed", "err", err)
	case err != nil:
		t.drop(o)
		return err
	case obj.Version != o.Version || obj.Size != o.Size:
		t.drop(o)
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	o.checked = time.Now()
	return nil
}

// head asks the store what lies under key, an object that had size bytes.
func (t *Store) head(ctx context.Context, key string, size int64) (backend.Object, error) {
	r := backend.Range{Length: 1}
	if size == 0 {
		r = backend.Range{}
	}
	body, obj, err := t.store.Get(ctx, key, r)
	if err == nil {
		body.Close()
	}
	return obj, err
}

// read opens r of o. The reader releases o when it is closed.
func (t *Store) read(ctx context.Context, o *object, r backend.Range) (io.ReadCloser, error) {
	end := o.Size
	if r.Length > 0 {
		end = min(end, r.Offset+r.Length)
	}
	if r.Offset >= end {
		t.release(o)
		return io.NopCloser(strings.NewReader("")), nil
	}
	file, err := os.Open(o.path)
	if err != nil {
		return nil, err
	}
	return &reader{t: t, o: o, ctx: ctx, file: file, pos: r.Offset, here: r.Offset, end: end}, nil
}

// reader reads a range of an object. It waits for what is not there yet.
type reader struct {
	t        *Store
	o        *object
	ctx      context.Context
	file     *os.File
	pos, end int64
	here     int64 // up to where the file is known to have it
}

func (r *reader) Read(p []byte) (int, error) {
	if r.pos >= r.end {
		return 0, io.EOF
	}
	if r.pos >= r.here {
		block := r.pos / blockSize
		if err := r.t.await(r.ctx, r.o, block, blocks(r.end)); err != nil {
			return 0, err
		}
		r.here = min(r.end, (block+1)*blockSize)
	}
	n, err := r.file.ReadAt(p[:min(int64(len(p)), r.here-r.pos)], r.pos)
	r.pos += int64(n)
	if err == io.EOF { // the file is not what it was
		err = fmt.Errorf("%s: %w", r.o.path, io.ErrUnexpectedEOF)
	}
	return n, err
}

func (r *reader) Close() error {
	if r.file == nil {
		return nil
	}
	err := r.file.Close()
	r.file = nil
	r.t.release(r.o)
	return err
}

package tier

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
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
		if t.bypasses(err) {
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
		t.release(o, &o.readers)
		t.Log.Error("an object of the tier can't be read", "key", key, "err", err)
		if errors.Is(err, fs.ErrNotExist) {
			t.drop(o)
		} else if t.isWaiting(o) { // the store has an older one, or none
			return nil, backend.Object{}, backend.Wrap(ctx, "get", key, err)
		}
	}
	return t.store.Get(ctx, key, r)
}

// isWaiting reports whether o is not stored yet.
func (t *Store) isWaiting(o *object) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return o.Dirty
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
		o.readers++
		o.used = time.Now()
		t.mu.Unlock()
		return o, nil
	}
	if at, ok := t.absent[key]; ok && o == nil && time.Since(at) < t.fresh {
		t.mu.Unlock()
		return nil, backend.ErrNotFound
	}
	q := t.asking[key]
	if q == nil && t.reading.Err() != nil {
		t.mu.Unlock()
		return nil, errClosed
	}
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
	first, last := r.Offset/blockSize, int64(math.MaxInt64)
	whole := backend.Range{Offset: first * blockSize}
	if end := endOf(r, math.MaxInt64-blockSize); r.Length > 0 {
		last = blocks(end)
		whole.Length = last*blockSize - whole.Offset
	}
	body, obj, err := t.store.Get(t.reading, key, whole)
	if whole != (backend.Range{}) && (err == nil && obj.Size <= whole.Offset || err != nil && !errors.Is(err, backend.ErrNotFound)) {
		// Of a range behind the end, the store need not say what the object is.
		if err == nil {
			body.Close()
		}
		first, last = 0, 0 // they are on their way when somebody reads them
		body, obj, err = t.store.Get(t.reading, key, backend.Range{})
	}
	if err != nil {
		t.answered(q, key, err)
		return err
	}
	var file *os.File
	if err = errTooLarge; obj.Size <= t.MaxSize {
		file, err = t.newFile()
	}
	if err != nil {
		t.answered(q, key, err)
		body.Close()
		return err
	}
	o = &object{facts: newFacts(key, obj.Size), path: file.Name(), checked: time.Now(), used: time.Now()}
	o.Version, o.Reported = obj.Version, obj.Version
	end := min(last, blocks(obj.Size))
	t.mu.Lock()
	current := t.asking[key] == q
	var f *flight
	if current {
		f = t.expect(o, first, end)
		t.replace(o) // there was none
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

// answered notes that q, about key, has not brought a new object. err is why, if the store has
// none. It reports whether q still counts: somebody may have written the object meanwhile.
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

// recheckTime is how long the store may take to say whether an object has changed.
const recheckTime = 5 * time.Second

// recheck asks the store whether it still has o. If the store does not answer, or lets nobody in,
// readers get o for another while.
func (t *Store) recheck(q *question, o *object) error {
	ctx, cancel := context.WithTimeout(t.reading, recheckTime)
	defer cancel()
	obj, err := t.head(ctx, o.Key, o.Size)
	current := t.answered(q, o.Key, err)
	switch {
	case !current:
		return nil
	case errors.Is(err, backend.ErrNotFound):
		t.drop(o)
		return err
	case err != nil:
		t.Log.Warn("the store does not say whether an object has changed", "err", err)
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

// endOf returns where r ends in an object of size bytes.
func endOf(r backend.Range, size int64) int64 {
	if r.Length > 0 && r.Length < size-r.Offset {
		return r.Offset + r.Length
	}
	return size
}

// read opens r of o. The reader releases o when it is closed.
func (t *Store) read(ctx context.Context, o *object, r backend.Range) (io.ReadCloser, error) {
	end := endOf(r, o.Size)
	if r.Offset >= end {
		t.release(o, &o.readers)
		return io.NopCloser(strings.NewReader("")), nil
	}
	file, err := os.Open(o.path)
	if err != nil {
		return nil, ofDisk(err)
	}
	return &reader{t: t, o: o, ctx: ctx, file: file, pos: r.Offset, ready: r.Offset, end: end}, nil
}

// reader reads a range of an object. It waits for what is not there yet.
type reader struct {
	t        *Store
	o        *object
	ctx      context.Context
	file     *os.File
	pos, end int64
	ready    int64         // up to where the file is known to have the object
	rest     io.ReadCloser // from the store itself, if the file is no use; else nil
}

func (r *reader) Read(p []byte) (int, error) {
	if r.pos >= r.end {
		return 0, io.EOF
	}
	if r.rest != nil {
		return r.rest.Read(p)
	}
	if r.pos >= r.ready {
		block := r.pos / blockSize
		err := r.t.await(r.ctx, r.o, block, blocks(r.end))
		if isOfDisk(err) {
			return r.bypass(p, err)
		}
		if err != nil {
			return 0, err
		}
		r.ready = min(r.end, (block+1)*blockSize)
	}
	n, err := r.file.ReadAt(p[:min(int64(len(p)), r.ready-r.pos)], r.pos)
	r.pos += int64(n)
	if err != nil && n == 0 {
		if err == io.EOF { // the file is not what it was
			err = fmt.Errorf("%s: %w", r.o.path, io.ErrUnexpectedEOF)
		}
		return r.bypass(p, ofDisk(err))
	}
	return n, nil
}

// bypass reads the rest from the store itself, as the tier's file is no use, for the reason cause.
func (r *reader) bypass(p []byte, cause error) (int, error) {
	if r.t.isWaiting(r.o) {
		return 0, cause
	}
	r.t.Log.Error("an object of the tier is no use, so the store itself is read", "key", r.o.Key, "err", cause)
	r.t.drop(r.o)
	body, obj, err := r.t.store.Get(r.ctx, r.o.Key, backend.Range{Offset: r.pos, Length: r.end - r.pos})
	if err != nil {
		return 0, err
	}
	r.rest = body
	if obj.Version != r.o.Version || obj.Size != r.o.Size {
		return 0, errChanged
	}
	return r.rest.Read(p)
}

func (r *reader) Close() error {
	if r.file == nil {
		return nil
	}
	err := r.file.Close()
	r.file = nil
	if r.rest != nil {
		err = errors.Join(err, r.rest.Close())
	}
	r.t.release(r.o, &r.o.readers)
	return err
}

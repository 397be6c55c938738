package backendtest

import (
	"bytes"
	"context"
	"crypto/md5"
	"fmt"
	"io"
	"iter"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/larderbuild/larder/backend"
)

// Memory returns an empty store in memory. It passes [Run]. The texts of its errors
// differ from those of all drivers, so a test fails if its code depends on the text
// of a driver's error, and not on the errors of package backend.
func Memory() backend.Store { return MemoryAt(time.Now) }

// MemoryAt is Memory with now as the store's clock.
func MemoryAt(now func() time.Time) backend.Store {
	return &memory{now: now, objects: make(map[string]memoryObject)}
}

type memory struct {
	now     func() time.Time
	mu      sync.Mutex
	puts    int // numbers the versions
	objects map[string]memoryObject
}

type memoryObject struct {
	backend.Object
	written time.Time
	data    []byte
}

func (*memory) Traits() backend.Traits { return backend.Traits{} }

func (m *memory) Get(ctx context.Context, key string, r backend.Range) (io.ReadCloser, backend.Object, error) {
	if ctx.Err() != nil {
		return nil, backend.Object{}, backend.Wrap(ctx, "get", key, ctx.Err())
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	obj, ok := m.objects[key]
	if !ok {
		return nil, backend.Object{}, fmt.Errorf("memory: %w: %s", backend.ErrNotFound, key)
	}
	data := obj.data[min(r.Offset, obj.Size):]
	if r.Length > 0 {
		data = data[:min(r.Length, int64(len(data)))]
	}
	body := io.NopCloser(bytes.NewReader(data))
	return backend.NewBody(ctx, key, body), obj.Object, nil
}

func (m *memory) Put(ctx context.Context, key string, body io.ReadSeeker, opts backend.PutOptions) (backend.Object, error) {
	upload, err := backend.NewUpload(ctx, body, opts.Size)
	if err != nil {
		return backend.Object{}, backend.Wrap(ctx, "put", key, err)
	}
	data, err := io.ReadAll(upload)
	if err != nil {
		return backend.Object{}, backend.Wrap(ctx, "put", key, err)
	}
	if md5.Sum(data) != opts.MD5 {
		return backend.Object{}, fmt.Errorf("memory: %w: %s", backend.ErrDigest, key)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	old, exists := m.objects[key]
	if opts.If.Absent && exists || opts.If.Version != "" && opts.If.Version != old.Version {
		return backend.Object{}, fmt.Errorf("memory: %w: %s", backend.ErrConflict, key)
	}
	m.puts++
	obj := backend.Object{Key: key, Size: opts.Size, Version: strconv.Itoa(m.puts)}
	m.objects[key] = memoryObject{obj, m.now(), data}
	return obj, nil
}

func (m *memory) Delete(ctx context.Context, key, version string) error {
	if ctx.Err() != nil {
		return backend.Wrap(ctx, "delete", key, ctx.Err())
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if old, exists := m.objects[key]; exists && version != "" && old.Version != version {
		return fmt.Errorf("memory: %w: %s", backend.ErrConflict, key)
	}
	delete(m.objects, key)
	return nil
}

func (m *memory) List(ctx context.Context, prefix string) iter.Seq2[backend.Object, error] {
	return func(yield func(backend.Object, error) bool) {
		m.mu.Lock()
		objects := slices.Collect(maps.Values(m.objects))
		m.mu.Unlock()
		for _, stored := range objects {
			obj := stored.Object
			obj.Written, obj.Listed = stored.written, m.now()
			if ctx.Err() != nil {
				yield(backend.Object{}, backend.Wrap(ctx, "list", prefix, ctx.Err()))
				return
			}
			if strings.HasPrefix(obj.Key, prefix) && !yield(obj, nil) {
				return
			}
		}
	}
}

func (m *memory) Close() error { return nil }

package tier

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/backend/backendtest"
)

// TestStore: a tier is a store as any other, also if it has no room for what the suite stores.
func TestStore(t *testing.T) {
	for name, size := range map[string]int64{"large": 1 << 30, "small": 64 << 10} {
		t.Run(name, func(t *testing.T) {
			backendtest.Run(t, func(t *testing.T) backend.Store {
				return newRig(t, size).Store
			})
		})
	}
}

// rig is a tier in front of a store in memory, whose requests are counted and may fail.
type rig struct {
	*Store
	t        *testing.T
	behind   backend.Store // without faults
	readOnly bool          // of the tiers that open opens

	mu       sync.Mutex
	requests map[string]int // by operation
	plan     func(op, key string) backendtest.Fault
}

var errDown = errors.New("the store is down")

// newRig returns an open tier of size bytes. Keys that begin with "cas/" are immutable.
func newRig(t *testing.T, size int64) *rig {
	t.Helper()
	r := &rig{t: t, behind: backendtest.Memory(), requests: make(map[string]int)}
	r.open(t.TempDir(), size)
	return r
}

// open opens a tier in front of the rig's store.
func (r *rig) open(dir string, size int64) {
	r.t.Helper()
	var err error
	r.Store, err = Open(backendtest.Faulty(r.behind, r.request), Config{
		Dir: dir, MaxSize: size, ReadOnly: r.readOnly, Log: slog.New(slog.DiscardHandler),
		Immutable: func(key string) bool { return strings.HasPrefix(key, "cas/") },
	})
	if err != nil {
		r.t.Fatal(err)
	}
}

// reopen closes the tier and opens it again.
func (r *rig) reopen() {
	r.t.Helper()
	r.reopenAt(r.Dir)
}

// reopenAt closes the tier and opens one in another folder.
func (r *rig) reopenAt(dir string) {
	r.t.Helper()
	r.close()
	r.open(dir, r.MaxSize)
}

// close closes the tier, and checks what it leaves.
func (r *rig) close() {
	r.t.Helper()
	if err := r.Close(); err != nil {
		r.t.Error(err)
	}
	r.check()
}

func (r *rig) request(op, key string) backendtest.Fault {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.requests[op]++
	var f backendtest.Fault
	if r.plan != nil {
		f = r.plan(op, key)
	}
	// With the race detector, Go 1.26.8 was seen to crash in a bubble at a timer of no time at all.
	f.Delay = max(f.Delay, time.Nanosecond)
	return f
}

// faults sets what goes wrong from now on; nil: nothing.
func (r *rig) faults(plan func(op, key string) backendtest.Fault) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.plan = plan
}

// down has all requests fail from now on.
func (r *rig) down() {
	r.faults(func(string, string) backendtest.Fault { return backendtest.Fault{Err: errDown} })
}

// count returns how many requests of an operation there were since it was last called.
func (r *rig) count(op string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := r.requests[op]
	r.requests[op] = 0
	return n
}

// put puts data through the tier, and returns its version.
func (r *rig) put(key, data string) string {
	r.t.Helper()
	obj, err := put(r.t.Context(), r.Store, key, data, backend.Condition{})
	if err != nil {
		r.t.Fatal(err)
	}
	return obj.Version
}

// store puts data into the store itself, and returns its version.
func (r *rig) store(key, data string) string {
	r.t.Helper()
	obj, err := put(r.t.Context(), r.behind, key, data, backend.Condition{})
	if err != nil {
		r.t.Fatal(err)
	}
	return obj.Version
}

// want checks what a Get through the tier returns.
func (r *rig) want(key, data string) (version string) {
	r.t.Helper()
	return wantRange(r.t, r.Store, key, backend.Range{}, data)
}

// wantStored checks what the store itself has.
func (r *rig) wantStored(key, data string) (version string) {
	r.t.Helper()
	return wantRange(r.t, r.behind, key, backend.Range{}, data)
}

// wantNothing checks that a Get through the tier finds no object.
func (r *rig) wantNothing(key string) {
	r.t.Helper()
	if data, _, err := get(r.t.Context(), r.Store, key, backend.Range{}); !errors.Is(err, backend.ErrNotFound) {
		r.t.Errorf("%s: got %.20q, %v", key, data, err)
	}
}

func put(ctx context.Context, s backend.Store, key, data string, c backend.Condition) (backend.Object, error) {
	opts := backend.OptionsOf([]byte(data))
	opts.If = c
	return s.Put(ctx, key, strings.NewReader(data), opts)
}

func get(ctx context.Context, s backend.Store, key string, r backend.Range) (string, backend.Object, error) {
	body, obj, err := s.Get(ctx, key, r)
	if err != nil {
		return "", obj, err
	}
	data, err := io.ReadAll(body)
	return string(data), obj, errors.Join(err, body.Close())
}

func wantRange(t *testing.T, s backend.Store, key string, r backend.Range, want string) (version string) {
	t.Helper()
	got, obj, err := get(t.Context(), s, key, r)
	if err != nil || got != want {
		t.Errorf("%s: got %d bytes, %.20q, %v; want %d, %.20q", key, len(got), got, err, len(want), want)
	}
	return obj.Version
}

// text returns n bytes that differ from block to block.
func text(n int) string {
	var b bytes.Buffer
	for line := 0; b.Len() < n; line++ {
		b.WriteString("line ")
		b.WriteString(strings.Repeat(string(rune('a'+line%26)), 1+line%1021))
	}
	return b.String()[:n]
}

// check checks the accounts of a tier that nobody uses, and that its folder has the files of its
// objects and no others.
func (r *rig) check() {
	r.t.Helper()
	r.Store.mu.Lock()
	defer r.Store.mu.Unlock()
	var size, waitingBytes int64
	waiting := 0
	files := map[string]bool{}
	for key, o := range r.objects {
		size += o.cost()
		files[o.path] = true
		if o.Dirty {
			waiting++
			waitingBytes += o.cost()
		}
		if o.inUse() || o.gone || len(o.coming) > 0 || o.Dirty != (r.waiting.objects[key] == o) {
			r.t.Errorf("%s: readers %d, flights %d, uploads %d, gone %v, coming %d, dirty %v", key, o.readers, o.flights, o.uploads, o.gone, len(o.coming), o.Dirty)
		}
	}
	if size != r.size || waiting != len(r.waiting.objects) || waitingBytes != r.waiting.bytes {
		r.t.Errorf("size %d, want %d; waiting %d, want %d; %d bytes, want %d", r.size, size, len(r.waiting.objects), waiting, r.waiting.bytes, waitingBytes)
	}
	if len(r.turns) > 0 || len(r.asking) > 0 {
		r.t.Errorf("%d turns and %d questions are left", len(r.turns), len(r.asking))
	}
	entries, err := os.ReadDir(r.objectsDir())
	if err != nil {
		r.t.Fatal(err)
	}
	for _, entry := range entries {
		path := r.objectsDir() + string(os.PathSeparator) + entry.Name()
		if name := strings.TrimSuffix(path, factsSuffix); !files[name] {
			r.t.Errorf("%s is left", path)
		}
	}
	for path := range files {
		if _, err := os.Stat(path); err != nil {
			r.t.Error(err)
		}
	}
}

package cache_test

import (
	"bytes"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/pack"
	"github.com/larderbuild/larder/session"
)

func read(t *testing.T, store backend.Store, key string) []byte {
	t.Helper()
	body, _, err := store.Get(t.Context(), key, backend.Range{})
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	b, err := io.ReadAll(body)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func write(t *testing.T, store backend.Store, key string, b []byte) {
	t.Helper()
	opts := backend.OptionsOf(b)
	if _, err := store.Put(t.Context(), key, bytes.NewReader(b), opts); err != nil {
		t.Fatal(err)
	}
}

// keys returns the keys in store that begin with prefix.
func keys(t *testing.T, store backend.Store, prefix string) (keys []string) {
	t.Helper()
	for obj, err := range store.List(t.Context(), prefix) {
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, obj.Key)
	}
	return keys
}

// key returns the key of the entry object of name.
func key(name string) string {
	id := actionID(name).String()
	return "v1/main/a/" + id[:2] + "/" + id
}

// traced returns store and the requests to it, in the order of their ends.
func traced(store backend.Store) (backend.Store, func() []string) {
	var mu sync.Mutex
	var lines []string
	s := backend.WithLog(store, func(r backend.Record) {
		mu.Lock()
		defer mu.Unlock()
		lines = append(lines, r.String())
	})
	return s, func() []string {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(lines)
	}
}

// count returns how many of lines begin with op.
func count(lines []string, op string) (n int) {
	for _, line := range lines {
		if strings.HasPrefix(line, op+" ") {
			n++
		}
	}
	return n
}

// packsInUse returns in how many packs entries of m lie.
func packsInUse(m *pack.Manifest) int {
	used := make(map[int]bool)
	for _, e := range m.Entries {
		if e.InPack() {
			used[e.Pack] = true
		}
	}
	return len(used)
}

func manifest(t *testing.T, store backend.Store, p session.Profile) *pack.Manifest {
	t.Helper()
	return manifestIn(t, store, "main", p)
}

func manifestIn(t *testing.T, store backend.Store, scope string, p session.Profile) *pack.Manifest {
	t.Helper()
	name := strings.NewReplacer("/", "%2F").Replace(p.Module)
	m, err := pack.Decode(read(t, store, "v1/"+scope+"/m/v5/"+name+"/"+p.Name), pack.Place{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

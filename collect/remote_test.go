package collect_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/backend/backendtest"
	"github.com/larderbuild/larder/collect"
	"github.com/larderbuild/larder/pack"
	"github.com/larderbuild/larder/sign"
)

const day = 24 * time.Hour

// remote is a store in memory with a clock that a test turns.
type remote struct {
	backend.Store
	t   *testing.T
	now time.Time
	log bytes.Buffer
}

func newRemote(t *testing.T) *remote {
	r := &remote{t: t, now: time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)}
	r.Store = backendtest.MemoryAt(func() time.Time { return r.now })
	return r
}

func (r *remote) after(d time.Duration) { r.now = r.now.Add(d) }

func (r *remote) put(key string, content []byte) {
	r.t.Helper()
	_, err := r.Put(r.t.Context(), key, bytes.NewReader(content), backend.OptionsOf(content))
	if err != nil {
		r.t.Fatal(err)
	}
}

// packOf returns a pack in a scope, which has size bytes.
func packOf(scope, name string, size int) pack.Pack {
	return pack.Pack{Scope: scope, ID: sha256.Sum256([]byte(name)), Size: int64(size), Own: true}
}

func packKey(p pack.Pack) string {
	id := hex.EncodeToString(p.ID[:])
	return "v1/" + p.Scope + "/p/" + id[:2] + "/" + id
}

func (r *remote) putPack(p pack.Pack) { r.put(packKey(p), make([]byte, p.Size)) }

// putEntry puts an entry object of 100 bytes.
func (r *remote) putEntry(scope, name string) string {
	sum := sha256.Sum256([]byte(name))
	id := hex.EncodeToString(sum[:])
	key := "v1/" + scope + "/a/" + id[:2] + "/" + id
	r.put(key, make([]byte, 100))
	return key
}

const module = "/m/v5/example.com%2Fpantry/"

// publish puts a manifest that names packs, signed by key if that is not nil.
func (r *remote) publish(scope, profile string, key *sign.Key, packs ...pack.Pack) string {
	r.t.Helper()
	name := module[1:] + profile
	object, err := (&pack.Manifest{Today: pack.DayOf(r.now), Packs: packs}).Encode(pack.Place{Scope: scope, Name: name}, key)
	if err != nil {
		r.t.Fatal(err)
	}
	r.put("v1/"+scope+"/"+name, object)
	return "v1/" + scope + "/" + name
}

func (r *remote) config(change ...func(*collect.Config)) collect.Config {
	cfg := collect.Config{
		MaxAge: 30 * day, Log: slog.New(slog.NewTextHandler(&r.log, nil)),
		Planned: func(int) {}, Done: func() {},
	}
	for _, c := range change {
		c(&cfg)
	}
	return cfg
}

func (r *remote) collect(change ...func(*collect.Config)) collect.Result {
	r.t.Helper()
	result, err := collect.Run(r.t.Context(), r.config(change...), r.Store)
	if err != nil {
		r.t.Error(err)
	}
	r.wantCounted(result)
	return result
}

// wantCounted checks what result says is left.
func (r *remote) wantCounted(result collect.Result) {
	r.t.Helper()
	if result.DryRun {
		return
	}
	var n, size int64
	for obj := range r.List(r.t.Context(), "v1/") {
		n++
		size += obj.Size
	}
	if result.ObjectsLeft != n || result.BytesLeft != size {
		r.t.Errorf("%d objects and %d bytes left, the result says %+v", n, size, result)
	}
}

// has reports which of keys exist.
func (r *remote) has(keys ...string) (there []bool) {
	var all []string
	for obj := range r.List(r.t.Context(), "") {
		all = append(all, obj.Key)
	}
	for _, key := range keys {
		there = append(there, slices.Contains(all, key))
	}
	return there
}

func (r *remote) want(what string, want bool, keys ...string) {
	r.t.Helper()
	for i, there := range r.has(keys...) {
		if there != want {
			r.t.Errorf("%s: %s is there: %v, want %v", what, keys[i], there, want)
		}
	}
}

func limit(size int64) func(*collect.Config) {
	return func(c *collect.Config) { c.MaxSize = size }
}

package cache_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/larderbuild/larder/cache"
	"github.com/larderbuild/larder/pack"
)

// A session with a smaller limit does without what is larger. It takes nothing of that out
// of the manifest, and calls nothing corrupt.
func TestSmallerLimit(t *testing.T) {
	for name, on := range map[string]func(*cache.SessionConfig){
		"with a profile":    under(profile),
		"without a profile": func(*cache.SessionConfig) {},
	} {
		t.Run(name, func(t *testing.T) {
			store := built(t)
			m := newMachine(t, t.TempDir(), store, on, func(c *cache.SessionConfig) { c.MaxObject = 2000 })
			for _, p := range packages {
				m.wantMiss(t, p)
				m.put(t, p, big(p))
			}
			m.put(t, "news", "news")
			m.Close(time.Minute)
			if s := m.stats.Summary(); s.Corrupt != 0 || len(m.warnings()) > 0 {
				t.Errorf("stats: %+v, warnings %q", s, m.warnings())
			}
			next := newMachine(t, t.TempDir(), store, under(profile))
			rebuild(t, next, packages...)
			next.Close(0)
			if s := next.stats.Summary(); s.RemoteHits != 0 {
				t.Errorf("stats: %+v", s)
			}
		})
	}
}

// A manifest of a later version stays as it is.
func TestLaterVersion(t *testing.T) {
	store := built(t)
	const key = "v1/main/m/v5/example.com%2Fpantry/linux-amd64"
	object := read(t, store, key)
	object[9] = pack.Version + 1
	write(t, store, key, object)
	m := newMachine(t, t.TempDir(), store, under(profile))
	build(t, m, "news")
	if m.Close(time.Minute) || len(m.warnings()) > 0 {
		t.Errorf("something is left, or warnings: %q", m.warnings())
	}
	if !bytes.Equal(read(t, store, key), object) {
		t.Error("the manifest was replaced")
	}
}

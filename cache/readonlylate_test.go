package cache_test

import (
	"testing"
	"time"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/backend/backendtest"
	"github.com/larderbuild/larder/cache"
	"github.com/larderbuild/larder/session"
)

// TestReadOnlyLate: a store that says only when something is written that this machine may
// not write is used for reading, without a word, and nothing is left for later.
func TestReadOnlyLate(t *testing.T) {
	for name, packsOnly := range map[string]bool{"with entry objects": false, "without": true} {
		t.Run(name, func(t *testing.T) {
			store := backendtest.Memory()
			first := newMachine(t, t.TempDir(), store, under(profile))
			build(t, first, "a")
			first.Close(time.Minute)
			before := len(manifest(t, store, profile).Entries)

			local := t.TempDir()
			late := backendtest.Faulty(store, func(op, key string) (f backendtest.Fault) {
				if op == "put" {
					f.Err = backend.ErrReader
				}
				return f
			})
			deferring := func(c *cache.SessionConfig) { c.Defer, c.PacksOnly = true, packsOnly }
			m := newMachine(t, local, late, under(profile), deferring)
			rebuild(t, m, "a")
			build(t, m, "b")
			m.Close(0)
			if _, err := flush(t.Context(), local, late); err != nil || len(m.warnings()) > 0 {
				t.Errorf("%v, said %q", err, m.warnings())
			}
			if left, err := session.Left(local); len(left) > 0 || err != nil {
				t.Errorf("%d journals are left, %v", len(left), err)
			}
			if n := len(manifest(t, store, profile).Entries); n != before {
				t.Errorf("the manifest has %d entries, and had %d", n, before)
			}
		})
	}
}

package cache_test

import (
	"strings"
	"testing"
	"time"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/backend/backendtest"
	"github.com/larderbuild/larder/cache"
	"github.com/larderbuild/larder/session"
)

var profile = session.Profile{Module: "example.com/pantry", Name: "linux-amd64"}

// under gives a session a profile, and so a manifest.
func under(p session.Profile) func(*cache.SessionConfig) {
	return func(c *cache.SessionConfig) { c.Target.Profile = p }
}

// big is a body that is too large for a manifest.
func big(name string) string {
	return strings.Repeat("object code of "+name+" ", 2000) + name
}

// build puts bodies of names, as a build from nothing would.
func build(t *testing.T, m *machine, names ...string) {
	t.Helper()
	for _, name := range names {
		m.wantMiss(t, name)
		m.put(t, name, big(name))
		m.put(t, name+" stdout", "")
	}
}

// rebuild gets what build has put.
func rebuild(t *testing.T, m *machine, names ...string) {
	t.Helper()
	for _, name := range names {
		m.wantHit(t, name, big(name))
		m.wantHit(t, name+" stdout", "")
	}
}

var packages = []string{"fmt", "net", "net/http", "pantry"}

// built returns a store in which a machine has built packages.
func built(t *testing.T, change ...func(*cache.SessionConfig)) backend.Store {
	t.Helper()
	store := backendtest.Memory()
	m := newMachine(t, t.TempDir(), store, append([]func(*cache.SessionConfig){under(profile)}, change...)...)
	build(t, m, packages...)
	if m.Close(time.Minute) {
		t.Fatal("something is left")
	}
	return store
}

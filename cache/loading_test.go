package cache_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/larderbuild/larder/backend/backendtest"
)

const indexes = 40 // of the main module's packages

// load gets module indexes, as a go command does while it loads packages: that of a
// module in the module cache, and those of a main module's checkout.
func load(t *testing.T, m *machine, checkout string, put bool) {
	t.Helper()
	for i := range indexes {
		name := fmt.Sprintf("index %s %d", checkout, i)
		m.wantMiss(t, name)
		if put {
			m.put(t, name, index(1, name))
		}
	}
	if put {
		m.put(t, "index dep", index(5, "dep"))
	} else {
		m.wantHit(t, "index dep", index(5, "dep"))
	}
}

// No remote has the indexes of a fresh checkout, so a session does not wait for lookups
// of them. It does look up what is missing later.
func TestIndexesOfAFreshCheckout(t *testing.T) {
	store := backendtest.Memory()
	a := newMachine(t, t.TempDir(), store, under(profile))
	load(t, a, "first", true)
	build(t, a, packages...)
	a.Close(time.Minute)
	other := newMachine(t, t.TempDir(), store)
	build(t, other, "elsewhere")
	other.Close(time.Minute)

	recorded, requests := traced(store)
	b := newMachine(t, t.TempDir(), recorded, under(profile))
	load(t, b, "second", false)
	rebuild(t, b, packages...)
	rebuild(t, b, "elsewhere")
	b.Close(time.Minute)
	var lookups int
	for _, line := range requests() {
		if strings.HasPrefix(line, "get v1/main/a/") {
			lookups++
		}
	}
	if lookups != 2 { // of elsewhere, and of its output
		t.Errorf("%d lookups, want 2:\n%s", lookups, strings.Join(requests(), "\n"))
	}
}

// After a new flag the manifest knows a build's indexes and nothing else. Once the build has
// made its first package, it finds what another profile has put.
func TestNewFlags(t *testing.T) {
	store := backendtest.Memory()
	a := newMachine(t, t.TempDir(), store, under(profile))
	load(t, a, "first", true)
	build(t, a, packages...)
	a.Close(time.Minute)
	const n = 40
	raced := make([]string, n)
	for i := range raced {
		raced[i] = fmt.Sprintf("package %d with -race", i)
	}
	other := newMachine(t, t.TempDir(), store)
	build(t, other, raced...)
	other.Close(time.Minute)

	b := newMachine(t, t.TempDir(), store, under(profile))
	b.wantHit(t, "index dep", index(5, "dep"))
	build(t, b, raced[0])
	rebuild(t, b, raced[1:]...)
	b.Close(time.Minute)
}

package cache_test

import (
	"bytes"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/backend/backendtest"
	"github.com/larderbuild/larder/cache"
	"github.com/larderbuild/larder/entry"
)

// part is an entry of a package, as the go command puts it.
type part struct{ name, body string }

// parts returns what the go command puts for a package that uses cgo, in its order.
func parts(pkg string) []part {
	return []part{
		{pkg + "@_cgo_gotypes.go", "// generated for " + pkg},
		{pkg + "@srcfiles", "./" + pkg + ".go\n_cgo_gotypes.go\n"},
		{pkg + "@stdout", "a warning of " + pkg},
		{pkg, big(pkg)},
	}
}

// compilePackage misses a package and puts its parts.
func compilePackage(t *testing.T, m *machine, pkg string) {
	t.Helper()
	m.wantMiss(t, pkg)
	for _, p := range parts(pkg) {
		m.put(t, p.name, p.body)
	}
}

// parceled returns a store in which a machine has compiled packages, with one object for each.
func parceled(t *testing.T, pkgs ...string) backend.Store {
	t.Helper()
	store := backendtest.Memory()
	m := newMachine(t, t.TempDir(), store)
	for _, pkg := range pkgs {
		compilePackage(t, m, pkg)
	}
	m.Close(time.Minute)
	wantObjects(t, store, pkgs...)
	if s := m.stats.Summary(); s.Uploads != int64(4*len(pkgs)) || s.Objects != int64(len(pkgs)) || s.RemoteRequests < s.Objects {
		t.Fatalf("stats: %+v", s)
	}
	return store
}

// wantObjects checks which entry objects are in store.
func wantObjects(t *testing.T, store backend.Store, names ...string) {
	t.Helper()
	there := make(map[string]bool)
	for _, key := range keys(t, store, "v1/main/a/") {
		there[key] = true
	}
	for _, name := range names {
		if !there[key(name)] {
			t.Errorf("%s has no entry object", name)
		}
	}
	if len(there) != len(names) {
		t.Errorf("%d entry objects, want %q", len(there), names)
	}
}

// wantParts gets the parts of a package as the go command does, the package first.
func wantParts(t *testing.T, m *machine, pkg string) {
	t.Helper()
	all := parts(pkg)
	for i := range all {
		p := all[len(all)-1-i]
		m.wantHit(t, p.name, p.body)
	}
}

// One request brings a package with all that belongs to it. Everything keeps its time.
func TestOneRequestForAPackage(t *testing.T) {
	store := backendtest.Memory()
	a := newMachine(t, t.TempDir(), store)
	times := make(map[string]time.Time)
	for i := range 30 {
		pkg := fmt.Sprint("pkg", i)
		compilePackage(t, a, pkg)
		for _, p := range parts(pkg) {
			times[p.name] = a.wantHit(t, p.name, p.body).Time
		}
	}
	a.Close(time.Minute)

	b := newMachine(t, t.TempDir(), store)
	for i := range 30 {
		wantParts(t, b, fmt.Sprint("pkg", i))
	}
	for name, want := range times {
		if e, _, err := b.get(t.Context(), name); err != nil || !e.Time.Equal(want) {
			t.Errorf("%s: time %v, put at %v, %v", name, e.Time, want, err)
		}
	}
	b.Close(0)
	if s := b.stats.Summary(); s.RemoteRequests != 30 || s.RemoteHits != 120 || s.LocalHits != 120 {
		t.Errorf("stats: %+v", s)
	}
}

// Where the local tier has a package alone, one request for the beginning of its object brings
// what belongs to it, however much that is.
func TestRidersAlone(t *testing.T) {
	for name, test := range map[string]struct {
		stdout   string
		requests int64
	}{"few": {"a warning", 1}, "many": {string(noise(30_000)), 2}} {
		t.Run(name, func(t *testing.T) {
			store := backendtest.Memory()
			a := newMachine(t, t.TempDir(), store)
			a.wantMiss(t, "fmt")
			a.put(t, "fmt@srcfiles", "./print.go\n")
			a.put(t, "fmt@stdout", test.stdout)
			a.put(t, "fmt", string(noise(200_000)))
			a.Close(time.Minute)
			wantObjects(t, store, "fmt")

			dir := t.TempDir()
			alone := newMachine(t, dir, nil)
			alone.put(t, "fmt", string(noise(200_000)))
			alone.Close(0)
			b := newMachine(t, dir, store)
			b.wantHit(t, "fmt", string(noise(200_000)))
			b.wantHit(t, "fmt@stdout", test.stdout)
			b.wantHit(t, "fmt@srcfiles", "./print.go\n")
			b.Close(0)
			if s := b.stats.Summary(); s.RemoteRequests != test.requests || s.RemoteHits != 2 || s.LocalHits != 1 || s.RemoteBytesIn > 60_000 {
				t.Errorf("stats: %+v", s)
			}
		})
	}
}

// A subkey that rides nowhere is looked up once on its own. Its parent's object is not asked
// for again.
func TestNothingRides(t *testing.T) {
	store := backendtest.Memory()
	for _, p := range parts("old") { // as earlier versions of larder have put them
		m := newMachine(t, t.TempDir(), store)
		m.put(t, p.name, p.body)
		m.Close(time.Minute)
	}
	wantObjects(t, store, "old", "old@stdout", "old@srcfiles", "old@_cgo_gotypes.go")
	b := newMachine(t, t.TempDir(), store)
	wantParts(t, b, "old")
	b.wantMiss(t, "old@link-stdout")
	b.wantMiss(t, "gone")
	b.wantMiss(t, "gone@stdout")
	b.Close(0)
	if s := b.stats.Summary(); s.RemoteRequests != 7 || s.RemoteHits != 4 || s.Corrupt != 0 {
		t.Errorf("stats: %+v", s)
	}
}

// What is put after its parent's object has gone out has an object of its own.
func TestPutAfterItsParent(t *testing.T) {
	store := parceled(t, "main")
	b := newMachine(t, t.TempDir(), store)
	b.wantHit(t, "main", big("main"))
	b.put(t, "main@link-stdout", "a warning of the linker")
	b.Close(time.Minute)
	wantObjects(t, store, "main", "main@link-stdout")

	c := newMachine(t, t.TempDir(), store)
	defer c.Close(0)
	wantParts(t, c, "main")
	c.wantHit(t, "main@link-stdout", "a warning of the linker")
}

// The last put of a subkey wins, also over what rides already, whichever session has put it.
func TestLastPutOfARiderWins(t *testing.T) {
	for name, link := range map[string]func(*testing.T, *machine){
		"found":        func(t *testing.T, m *machine) { m.wantHit(t, "main", big("main")) },
		"made":         func(t *testing.T, m *machine) { compilePackage(t, m, "main"); m.put(t, "main@link-stdout", "one") },
		"found by two": func(t *testing.T, m *machine) { wantParts(t, m, "main") },
	} {
		t.Run(name, func(t *testing.T) {
			store := backendtest.Memory()
			if name != "made" {
				a := newMachine(t, t.TempDir(), store)
				compilePackage(t, a, "main")
				a.put(t, "main@link-stdout", "one")
				a.Close(time.Minute)
			}
			b := newMachine(t, t.TempDir(), store)
			link(t, b)
			for name == "made" && b.stats.Summary().Objects == 0 {
				time.Sleep(time.Millisecond) // until the first one is out
			}
			b.put(t, "main@link-stdout", "two")
			b.Close(time.Minute)

			c := newMachine(t, t.TempDir(), store)
			wantParts(t, c, "main")
			c.wantHit(t, "main@link-stdout", "two")
			c.Close(0)
			if s := c.stats.Summary(); s.RemoteRequests > 2 {
				t.Errorf("stats: %+v", s)
			}
		})
	}
}

// If a byte of an object is wrong, wherever it stands, nothing of the object is installed.
func TestDamagedObjectInstallsNothing(t *testing.T) {
	good := read(t, parceled(t, "fmt"), key("fmt"))
	h, err := entry.ParseHeader(good)
	if err != nil {
		t.Fatal(err)
	}
	for name, at := range map[string]int64{"header": 100, "riders": h.Size() + 1, "last rider": h.FrontSize() - 1, "payload": h.FrontSize() + 5} {
		t.Run(name, func(t *testing.T) {
			bad := bytes.Clone(good)
			bad[at] ^= 1
			store := backendtest.Memory()
			write(t, store, key("fmt"), bad)
			b := newMachine(t, t.TempDir(), store)
			for _, p := range parts("fmt") {
				b.wantMiss(t, p.name)
			}
			b.Close(0)
			if files, _ := filepath.Glob(filepath.Join(b.dir, "??", "*-a")); len(files) > 0 {
				t.Errorf("the local tier has %q", files)
			}
			if s := b.stats.Summary(); s.Corrupt != 1 {
				t.Errorf("stats: %+v", s)
			}
		})
	}
}

// What rides along replaces nothing that the local tier has.
func TestRiderAndPutByOthers(t *testing.T) {
	store := parceled(t, "fmt")
	b := newMachine(t, t.TempDir(), store)
	b.put(t, "fmt@stdout", "of this machine")
	b.wantHit(t, "fmt", big("fmt"))
	b.wantHit(t, "fmt@stdout", "of this machine")
	b.Close(0)
}

// A reader with a smaller limit does without a rider that is larger.
func TestRiderOverTheLimit(t *testing.T) {
	store := backendtest.Memory()
	a := newMachine(t, t.TempDir(), store)
	a.wantMiss(t, "fmt")
	a.put(t, "fmt@stdout", strings.Repeat("a warning\n", 300))
	a.put(t, "fmt@srcfiles", "./a.go\n")
	a.put(t, "fmt", "archive")
	a.Close(time.Minute)
	b := newMachine(t, t.TempDir(), store, func(c *cache.SessionConfig) { c.MaxObject = 100 })
	b.wantHit(t, "fmt", "archive")
	b.wantHit(t, "fmt@srcfiles", "./a.go\n")
	b.wantMiss(t, "fmt@stdout")
	b.Close(0)
	if s := b.stats.Summary(); s.Corrupt != 0 || len(b.warnings()) > 0 {
		t.Errorf("%+v, %q", s, b.warnings())
	}
}

// A pull request finds in main's object what its own scope's object does not bring.
func TestRidersInScopes(t *testing.T) {
	store := parceled(t, "fmt")
	a := newMachine(t, t.TempDir(), store, scoped("pr-7"))
	a.wantMiss(t, "fmt")
	a.put(t, "fmt@stdout", "a warning of fmt")
	a.put(t, "fmt", big("fmt"))
	a.Close(time.Minute)
	for name, prepare := range map[string]func(t *testing.T, dir string){
		"all of it": func(*testing.T, string) {},
		"the rest": func(t *testing.T, dir string) {
			m := newMachine(t, dir, nil)
			m.put(t, "fmt", big("fmt"))
			m.Close(0)
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			prepare(t, dir)
			b := newMachine(t, dir, store, pull("pr-7"))
			wantParts(t, b, "fmt")
			b.Close(0)
		})
	}
}

package cache_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"github.com/larderbuild/larder/backend/backendtest"
	"github.com/larderbuild/larder/cache"
	"github.com/larderbuild/larder/entry"
	"github.com/larderbuild/larder/session"
)

// A session that ends at once, or is killed, leaves its uploads in the journal. Whoever works
// that off makes the same objects.
func TestFlushedRiders(t *testing.T) {
	local, store := t.TempDir(), backendtest.Memory()
	m := newMachine(t, local, backendtest.Faulty(backendtest.Memory(), func(op, _ string) backendtest.Fault {
		return backendtest.Fault{Hang: op == "put"}
	}))
	compilePackage(t, m, "fmt")
	compilePackage(t, m, "net")
	m.Close(0)
	if n, err := session.Uploads(local); n != 8 || err != nil {
		t.Fatalf("%d uploads, %v", n, err)
	}
	stats, err := flush(t.Context(), local, store)
	if s := stats.Summary(); err != nil || s.Uploads != 8 || s.Objects != 2 {
		t.Errorf("%+v, %v", s, err)
	}
	wantObjects(t, store, "fmt", "net")
	if n, err := session.Uploads(local); n != 0 || err != nil {
		t.Errorf("%d uploads are left, %v", n, err)
	}
}

// An object that can't be put leaves all that it was to bring in the journal.
func TestFailedRiders(t *testing.T) {
	local, store := t.TempDir(), backendtest.Memory()
	failing := backendtest.Faulty(store, func(op, _ string) backendtest.Fault {
		if op == "put" {
			return backendtest.Fault{Err: errors.New("disk full")}
		}
		return backendtest.Fault{}
	})
	m := newMachine(t, local, failing)
	compilePackage(t, m, "fmt")
	if !m.Close(time.Minute) {
		t.Error("nothing is left")
	}
	if s := m.stats.Summary(); s.Uploads != 0 || s.Objects != 0 {
		t.Errorf("stats: %+v", s)
	}
	if _, err := flush(t.Context(), local, store); err != nil {
		t.Error(err)
	}
	wantObjects(t, store, "fmt")
}

// A rider with a secret stays, and the rest goes: whether the session knows the secret, or
// only whoever works off its journal.
func TestWithheldRider(t *testing.T) {
	for name, knows := range map[string]func(*cache.SessionConfig){
		"by its session": knowing,
		"by flush":       func(*cache.SessionConfig) {},
	} {
		t.Run(name, func(t *testing.T) {
			store := backendtest.Memory()
			m := newMachine(t, t.TempDir(), store, knows, func(c *cache.SessionConfig) { c.Linger = true })
			m.wantMiss(t, "fmt")
			m.put(t, "fmt@srcfiles", "./print.go\n")
			m.put(t, "fmt@stdout", telling)
			m.put(t, "fmt", big("fmt"))
			m.Close(0)
			if _, err := flush(t.Context(), m.dir, store, withSecrets); err != nil {
				t.Error(err)
			}
			wantObjects(t, store, "fmt")
			wantNoSecret(t, store, "v1/")
			b := newMachine(t, t.TempDir(), store)
			defer b.Close(0)
			b.wantHit(t, "fmt", big("fmt"))
			b.wantHit(t, "fmt@srcfiles", "./print.go\n")
			b.wantMiss(t, "fmt@stdout")
		})
	}
}

// What rides with an entry that stays local goes alone.
func TestRidersOfWhatStays(t *testing.T) {
	store := backendtest.Memory()
	m := newMachine(t, t.TempDir(), backendtest.Faulty(backendtest.Memory(), hang))
	m.put(t, "fmt@stdout", "")
	m.put(t, "fmt", telling)
	m.Close(0)
	if _, err := flush(t.Context(), m.dir, store, withSecrets); err != nil {
		t.Error(err)
	}
	wantObjects(t, store, "fmt@stdout")
}

// withSecrets gives Flush the secret of knowing.
func withSecrets(c *cache.FlushConfig) {
	var s cache.SessionConfig
	knowing(&s)
	c.Policy = s.Policy
}

// What was put twice before its parent rides as it was put last.
func TestRiderPutTwice(t *testing.T) {
	store := backendtest.Memory()
	m := newMachine(t, t.TempDir(), store)
	m.wantMiss(t, "fmt")
	m.put(t, "fmt@stdout", "one")
	m.put(t, "fmt@stdout", "two")
	m.put(t, "fmt", big("fmt"))
	for m.stats.Summary().Objects == 0 {
		time.Sleep(time.Millisecond) // until the object is out, beside the build
	}
	m.Close(time.Minute)
	wantObjects(t, store, "fmt")
	if s := m.stats.Summary(); s.Objects != 1 || s.Uploads != 2 {
		t.Errorf("stats: %+v", s)
	}
	b := newMachine(t, t.TempDir(), store)
	defer b.Close(0)
	b.wantHit(t, "fmt", big("fmt"))
	b.wantHit(t, "fmt@stdout", "two")
}

// A damaged body in the local tier does not ride: its hash would make it another output.
func TestDamagedRiderStays(t *testing.T) {
	local, store := t.TempDir(), backendtest.Memory()
	m := newMachine(t, local, backendtest.Faulty(backendtest.Memory(), hang))
	m.put(t, "fmt@stdout", "a warning")
	m.put(t, "fmt", big("fmt"))
	e := m.wantHit(t, "fmt@stdout", "a warning")
	m.Close(0)
	if err := os.WriteFile(e.DiskPath, []byte("a Warning"), 0o666); err != nil {
		t.Fatal(err)
	}
	_, _ = flush(t.Context(), local, store) // the error tells of what is damaged
	b := newMachine(t, t.TempDir(), store)
	defer b.Close(0)
	b.wantHit(t, "fmt", big("fmt"))
	b.wantMiss(t, "fmt@stdout")
}

// What is too large to ride has an object of its own, and so has what there is no room for.
func TestTooLargeToRide(t *testing.T) {
	local, store := t.TempDir(), backendtest.Memory()
	m := newMachine(t, local, backendtest.Faulty(backendtest.Memory(), hang))
	list := ""
	for i := range 7 { // of which four have room
		name := fmt.Sprint(i, ".cgo1.go")
		list += name + "\n"
		m.put(t, "net@"+name, string(noise(60<<10+i)))
	}
	m.put(t, "net@srcfiles", list)
	m.put(t, "net@stdout", string(noise(entry.MaxRider+1)))
	m.put(t, "net", big("net"))
	m.Close(0)
	stats, err := flush(t.Context(), local, store)
	if s := stats.Summary(); err != nil || s.Uploads != 10 || s.Objects != 1+1+3 {
		t.Errorf("%+v, %v", s, err)
	}
	b := newMachine(t, t.TempDir(), store)
	defer b.Close(0)
	b.wantHit(t, "net", big("net"))
	b.wantHit(t, "net@srcfiles", list)
	for i := range 7 {
		b.wantHit(t, fmt.Sprint("net@", i, ".cgo1.go"), string(noise(60<<10+i)))
	}
}

// noise returns n bytes that can't be compressed.
func noise(n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{1}).Read(b)
	return b
}

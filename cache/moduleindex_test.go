package cache_test

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/backend/backendtest"
	"github.com/larderbuild/larder/cache"
	"github.com/larderbuild/larder/entry"
	"github.com/larderbuild/larder/pack"
)

// index returns a module index of so many packages. Where there is one, it belongs to no
// release of Go.
func index(packages uint32, text string) string {
	b := binary.LittleEndian.AppendUint32([]byte("go index v2\n"), 20)
	b = binary.LittleEndian.AppendUint32(b, packages)
	return string(b) + "\x00" + text + "\xff"
}

// An index of a package stays on its machine, whatever else the session publishes. It
// counts as an index in place of a miss.
func TestIndexesOfPackages(t *testing.T) {
	store := backendtest.Memory()
	a := newMachine(t, t.TempDir(), store, under(profile))
	a.wantMiss(t, "index")
	a.put(t, "index", index(1, "main"))
	a.wantHit(t, "index", index(1, "main"))
	build(t, a, "fmt")
	a.Close(time.Minute)
	if s := a.stats.Summary(); s.Indexes != 1 || s.Misses != 1 {
		t.Errorf("stats: %+v", s)
	}
	for _, e := range manifest(t, store, profile).Entries {
		if e.Action == actionID("index") {
			t.Errorf("the manifest has %+v", e)
		}
	}

	// Nor does it leave the machine in a later session, which finds it in the local tier.
	b := newMachine(t, a.dir, store, under(profile))
	b.wantHit(t, "index", index(1, "main"))
	build(t, b, "net")
	b.Close(time.Minute)
	c := newMachine(t, t.TempDir(), store, under(profile))
	defer c.Close(0)
	c.wantMiss(t, "index")
	rebuild(t, c, "net")
}

// An index of a package that somebody has published all the same is not used, and nobody is
// told.
func TestPublishedIndexesOfPackages(t *testing.T) {
	body := index(1, big("main"))
	small := index(1, "main")
	inManifest := func(t *testing.T, s backend.Store) { publishIndex(t, s, small, false) }
	for name, test := range map[string]struct {
		publish func(*testing.T, backend.Store)
		change  []func(*cache.SessionConfig)
	}{
		"in the manifest":         {inManifest, []func(*cache.SessionConfig){under(profile)}},
		"in the manifest, lazily": {inManifest, []func(*cache.SessionConfig){under(profile), lazy(t)}},
		"in a pack":               {func(t *testing.T, s backend.Store) { publishIndex(t, s, body, true) }, []func(*cache.SessionConfig){under(profile)}},
		"as an entry object":      {func(t *testing.T, s backend.Store) { write(t, s, key("index"), entryObject(t, body)) }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			store := backendtest.Memory()
			test.publish(t, store)
			m := newMachine(t, t.TempDir(), store, test.change...)
			m.wantMiss(t, "index")
			m.put(t, "index", small)
			m.wantHit(t, "index", small)
			m.Close(time.Minute)
			if s := m.stats.Summary(); s.Corrupt != 0 || m.log.Len() > 0 {
				t.Errorf("stats %+v; log:\n%s", s, m.log)
			}
		})
	}
}

// publishIndex publishes a manifest that names body for the action "index".
func publishIndex(t *testing.T, store backend.Store, body string, packed bool) {
	t.Helper()
	now := time.Now()
	e := pack.Entry{Action: actionID("index"), Output: sha256.Sum256([]byte(body)), Size: int64(len(body)), Time: now, Used: pack.DayOf(now)}
	m := &pack.Manifest{Today: pack.DayOf(now), Clock: pack.DayOf(now), Far: pack.DayOf(now)}
	if packed {
		file := create(t)
		w := pack.NewWriter(file, entry.Signer{Scope: "main"})
		var err error
		if e.Span, err = w.Add(header(body, now), strings.NewReader(body)); err != nil {
			t.Fatal(err)
		}
		id, size, _, err := w.Finish()
		if err != nil {
			t.Fatal(err)
		}
		m.Packs = []pack.Pack{{Scope: "main", ID: id, Size: size, Own: true}}
		write(t, store, fmt.Sprintf("v1/main/p/%x/%x", id[:1], id), contents(t, file))
	} else {
		e.Inline = []byte(body)
	}
	m.Entries = []pack.Entry{e}
	object, err := m.Encode(pack.Place{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	write(t, store, "v1/main/m/v5/example.com%2Fpantry/linux-amd64", object)
}

// entryObject returns an entry object that holds body for the action "index".
func entryObject(t *testing.T, body string) []byte {
	t.Helper()
	file := create(t)
	if _, err := entry.Encode(file, header(body, time.Now()), strings.NewReader(body), entry.Signer{Scope: "main"}); err != nil {
		t.Fatal(err)
	}
	return contents(t, file)
}

func header(body string, now time.Time) entry.Header {
	return entry.Header{Action: actionID("index"), Output: sha256.Sum256([]byte(body)), BodySize: int64(len(body)), Time: now}
}

func create(t *testing.T) *os.File {
	t.Helper()
	file, err := os.Create(filepath.Join(t.TempDir(), "object"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	return file
}

func contents(t *testing.T, file *os.File) []byte {
	t.Helper()
	b, err := os.ReadFile(file.Name())
	if err != nil {
		t.Fatal(err)
	}
	return b
}

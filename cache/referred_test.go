package cache_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/backend/backendtest"
	"github.com/larderbuild/larder/cache"
	"github.com/larderbuild/larder/entry"
	"github.com/larderbuild/larder/session"
)

// another is a profile of another module.
var another = session.Profile{Module: "example.com/cellar", Name: "linux-amd64"}

// reference is what referrals to profile's manifest have.
const reference = "m/v5/example.com%2Fpantry/linux-amd64"

// stored returns the bytes of all objects in store that lie under a prefix.
func stored(t *testing.T, store backend.Store, prefix string) (sum int) {
	t.Helper()
	for _, key := range keys(t, store, prefix) {
		sum += len(read(t, store, key))
	}
	return sum
}

// Each body is in the remote once: where a pack has it, the entry object only refers to it.
func TestBodiesAreStoredOnce(t *testing.T) {
	for name, end := range map[string]func(m *machine, store backend.Store) error{
		"by the session": func(m *machine, _ backend.Store) error {
			m.Close(time.Minute)
			return nil
		},
		"by a flush": func(m *machine, store backend.Store) error {
			m.Close(0)
			_, err := flush(t.Context(), m.dir, store)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			store := backendtest.Memory()
			m := newMachine(t, t.TempDir(), store, under(profile))
			size := 0
			for _, pkg := range packages {
				m.wantMiss(t, pkg)
				m.put(t, pkg+"@stdout", "a warning")
				m.put(t, pkg, random(pkg, 200_000))
				size += len(random(pkg, 200_000))
			}
			if err := end(m, store); err != nil {
				t.Fatal(err)
			}
			wantObjects(t, store, packages...)
			packs, objects := stored(t, store, "v1/main/p/"), stored(t, store, "v1/main/a/")
			if packs < size || packs > size+size/50 || objects > len(packages)*500 {
				t.Errorf("%d bytes of packs and %d of entry objects for bodies of %d", packs, objects, size)
			}
			for _, pkg := range packages {
				r, err := entry.Open(bytes.NewReader(read(t, store, key(pkg))), entry.Want{Action: actionID(pkg), MaxSize: 1 << 30})
				if err != nil || r.Reference != reference || r.Header.Output != sha256.Sum256([]byte(random(pkg, 200_000))) || len(r.Riders) != 1 {
					t.Errorf("%s: %+v, %v", pkg, r, err)
				}
			}
		})
	}
}

// Large bodies wait until the build is over. The others are uploaded beside it.
func TestLargeBodiesWait(t *testing.T) {
	store := backendtest.Memory()
	m := newMachine(t, t.TempDir(), store, under(profile))
	build(t, m, packages...)
	deadline := time.Now().Add(time.Minute)
	for len(keys(t, store, "v1/main/a/")) < len(packages) && time.Now().Before(deadline) {
		time.Sleep(time.Millisecond)
	}
	var small []string
	for _, pkg := range packages {
		small = append(small, pkg+" stdout")
	}
	wantObjects(t, store, small...)
	m.Close(time.Minute)
	wantObjects(t, store, append(small, packages...)...)
}

// What another module has built is found by one lookup, its manifest, and the chunks of its
// packs.
func TestReferrals(t *testing.T) {
	for name, on := range map[string]func(*cache.SessionConfig){
		"with a profile":    under(another),
		"without a profile": func(*cache.SessionConfig) {},
	} {
		t.Run(name, func(t *testing.T) {
			store, requests := traced(built(t))
			m := newMachine(t, t.TempDir(), store, on)
			rebuild(t, m, packages...)
			m.Close(0)
			kinds := make(map[string]int) // of the objects of the first module
			for _, line := range requests() {
				if strings.HasPrefix(line, "get ") && !strings.HasSuffix(line, ": not found") {
					kinds[strings.Split(line, "/")[2]]++
				}
			}
			if !maps.Equal(kinds, map[string]int{"a": 1, "m": 1, "p": 1}) {
				t.Errorf("asked for %q", requests())
			}
			if s := m.stats.Summary(); s.RemoteHits != int64(2*len(packages)) || s.Misses != 0 || len(m.warnings()) > 0 {
				t.Errorf("stats: %+v, warnings %q", s, m.warnings())
			}
		})
	}
}

// What belongs to a package comes with its referral, even if the local tier has its archive.
func TestRidersOfReferral(t *testing.T) {
	store := backendtest.Memory()
	a := newMachine(t, t.TempDir(), store, under(profile))
	compilePackage(t, a, "fmt")
	a.Close(time.Minute)
	wantObjects(t, store, "fmt")

	dir := t.TempDir()
	alone := newMachine(t, dir, nil)
	alone.put(t, "fmt", big("fmt"))
	alone.Close(0)
	b := newMachine(t, dir, store)
	wantParts(t, b, "fmt")
	b.Close(0)
	if s := b.stats.Summary(); s.RemoteRequests != 1 || s.RemoteHits != 3 {
		t.Errorf("stats: %+v", s)
	}
}

// What a referral promises and the remote has no longer is a miss, and is stored again. Only a
// pack that a manifest names is not expected to be gone.
func TestReferralToWhatIsGone(t *testing.T) {
	for name, lose := range map[string]func(t *testing.T, store backend.Store){
		"the manifest": func(t *testing.T, store backend.Store) { remove(t, store, "v1/main/m/") },
		"the packs":    func(t *testing.T, store backend.Store) { remove(t, store, "v1/main/p/") },
		"the entries in the manifest": func(t *testing.T, store backend.Store) {
			other := backendtest.Memory()
			m := newMachine(t, t.TempDir(), other, under(profile))
			build(t, m, "something else")
			m.Close(time.Minute)
			copyObjects(t, other, store, "v1/main/m/")
		},
	} {
		t.Run(name, func(t *testing.T) {
			store := built(t)
			lose(t, store)
			m := newMachine(t, t.TempDir(), store, under(another))
			build(t, m, packages[0])
			m.Close(time.Minute)
			if s := m.stats.Summary(); s.Corrupt != 0 || len(m.warnings()) > 0 && name != "the packs" {
				t.Errorf("stats: %+v, warnings %q", s, m.warnings())
			}
			next := newMachine(t, t.TempDir(), store)
			next.wantHit(t, packages[0], big(packages[0]))
			next.Close(0)
		})
	}
}

func remove(t *testing.T, store backend.Store, prefix string) {
	t.Helper()
	for _, key := range keys(t, store, prefix) {
		if err := store.Delete(t.Context(), key, ""); err != nil {
			t.Fatal(err)
		}
	}
}

func copyObjects(t *testing.T, from, to backend.Store, prefix string) {
	t.Helper()
	for _, key := range keys(t, from, prefix) {
		write(t, to, key, read(t, from, key))
	}
}

// A profile's own manifest may have lost what its referral names: the get is a miss, and
// what is built then is packed again.
func TestReferralToOwnManifest(t *testing.T) {
	store := built(t)
	remove(t, store, "v1/main/p/")
	m := newMachine(t, t.TempDir(), store, under(profile))
	build(t, m, packages[0])
	m.Close(time.Minute)
	next := newMachine(t, t.TempDir(), store, under(profile))
	next.wantHit(t, packages[0], big(packages[0]))
	next.Close(0)
	if s := next.stats.Summary(); s.PrefetchHits != 1 {
		t.Errorf("stats: %+v", s)
	}
}

// A reference leads nowhere but to a manifest of its own scope. What is none is a miss.
func TestHostileReferences(t *testing.T) {
	for reference, corrupt := range map[string]int64{
		"m/v5/example.com%2Fnowhere/linux-amd64":      0,
		"m/v3/example.com%2Fpantry/linux-amd64":       0,
		"m/v6/example.com%2Fpantry/linux-amd64":       0,
		"m/v5/example.com%2Fpantry/@profiles":         1,
		"m/v5/example.com%2fpantry/linux-amd64":       1,
		"m/v5/example.com%zzpantry/linux-amd64":       1,
		"p/00/0000":                                   1,
		"../pr-1/m/v5/example.com%2Fpantry/linux":     1,
		"a/" + actionID("it").String()[:2]:            1,
		" ":                                           1,
		"m/v5/example.com%2Fpantry/linux-amd64\x00":   1,
		"https://example.com/m/v5/a/b":                1,
		"m/v5/" + strings.Repeat("a", 900) + "/linux": 0,
	} {
		t.Run(reference[:min(len(reference), 60)], func(t *testing.T) {
			store := built(t)
			h := entry.Header{Action: actionID("it"), Output: sha256.Sum256(nil), Time: time.Unix(1, 0)}
			object, err := entry.EncodeReferral(h, reference, entry.Signer{})
			if err != nil {
				t.Fatal(err)
			}
			write(t, store, key("it"), object)
			m := newMachine(t, t.TempDir(), store)
			m.wantMiss(t, "it")
			m.wantHit(t, packages[0], big(packages[0]))
			m.Close(0)
			if s := m.stats.Summary(); s.Corrupt != corrupt {
				t.Errorf("%d objects are corrupt, want %d", s.Corrupt, corrupt)
			}
		})
	}
}

// A referral that its manifest does not bear out is of no use: what counts is the manifest.
func TestReferralThatLies(t *testing.T) {
	store := built(t)
	h := entry.Header{Action: actionID(packages[0]), Output: sha256.Sum256([]byte("evil")), BodySize: 4, Time: time.Unix(1, 0)}
	object, err := entry.EncodeReferral(h, reference, entry.Signer{})
	if err != nil {
		t.Fatal(err)
	}
	write(t, store, key(packages[0]), object)
	m := newMachine(t, t.TempDir(), store)
	m.wantHit(t, packages[0], big(packages[0]))
	m.Close(0)
}

// Nobody can have a session read manifests without an end.
func TestManyReferences(t *testing.T) {
	store, requests := traced(backendtest.Memory())
	const all = 40
	for i := range all {
		p := session.Profile{Module: fmt.Sprint("example.com/", i), Name: "linux-amd64"}
		m := newMachine(t, t.TempDir(), store, under(p))
		build(t, m, p.Module)
		m.Close(time.Minute)
	}
	before := len(requests())
	m := newMachine(t, t.TempDir(), store)
	hits := 0
	for i := range all {
		if _, _, err := m.get(t.Context(), fmt.Sprint("example.com/", i)); err == nil {
			hits++
		}
	}
	m.Close(0)
	manifests := 0
	for _, line := range requests()[before:] {
		if strings.HasPrefix(line, "get v1/main/m/") {
			manifests++
		}
	}
	if hits != 32 || manifests != 32 {
		t.Errorf("%d hits by %d manifests, want 32", hits, manifests)
	}
}

// Where a publication comes to nothing for good, entry objects have their bodies.
func TestBodiesOfWhatIsNotPublished(t *testing.T) {
	store := built(t)
	const manifestKey = "v1/main/" + reference
	object := read(t, store, manifestKey)
	object[9]++ // a later version's
	write(t, store, manifestKey, object)
	a := newMachine(t, t.TempDir(), store, under(profile))
	build(t, a, "news")
	a.Close(time.Minute)
	b := newMachine(t, t.TempDir(), store)
	rebuild(t, b, "news")
	b.Close(0)
	if s := b.stats.Summary(); s.RemoteRequests != 2 {
		t.Errorf("stats: %+v", s)
	}
}

// A referral counts only if it is signed by somebody who is trusted, and so does what it
// refers to.
func TestSignedReferrals(t *testing.T) {
	k := generate(t)
	store := built(t, signing(k))
	m := newMachine(t, t.TempDir(), store, under(another), signing(k))
	rebuild(t, m, packages...)
	m.Close(0)
	if s := m.stats.Summary(); s.Untrusted != 0 || s.Misses != 0 {
		t.Errorf("stats: %+v", s)
	}

	h := entry.Header{Action: actionID(packages[0]), Output: sha256.Sum256([]byte(big(packages[0]))), Time: time.Unix(1, 0)}
	unsigned, err := entry.EncodeReferral(h, reference, entry.Signer{})
	if err != nil {
		t.Fatal(err)
	}
	write(t, store, key(packages[0]), unsigned)
	victim := newMachine(t, t.TempDir(), store, signing(k))
	victim.wantMiss(t, packages[0])
	victim.Close(0)
	if s := victim.stats.Summary(); s.Untrusted != 1 {
		t.Errorf("stats: %+v", s)
	}

	theirs := built(t) // nobody has signed it
	copyObjects(t, theirs, store, "v1/main/m/")
	victim = newMachine(t, t.TempDir(), store, signing(k))
	victim.wantMiss(t, packages[1])
	victim.wantMiss(t, packages[2])
	victim.Close(0)
	if s := victim.stats.Summary(); s.Untrusted != 1 || s.RemoteHits != 0 {
		t.Errorf("stats: %+v", s)
	}
}

// What may ride with a body that waits for the publication waits, too, however long the build
// takes.
func TestRidersWaitForLargeBodies(t *testing.T) {
	store := backendtest.Memory()
	m := newMachine(t, t.TempDir(), store, under(profile))
	compilePackage(t, m, "fmt")
	m.wantMiss(t, "fmt@link-stdout")
	m.put(t, "fmt@link-stdout", "a warning of the linker")
	m.wantMiss(t, "small")
	m.put(t, "small", "a small body")
	time.Sleep(400 * time.Millisecond) // longer than a rider waits for anything else
	m.Close(time.Minute)
	wantObjects(t, store, "fmt", "small")
}

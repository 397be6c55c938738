package integration

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/larderbuild/larder/backend"
)

// named returns the attacks with these names.
func named(t *testing.T, names ...string) (found []attack) {
	t.Helper()
	all := attacks()
	for _, name := range names {
		i := slices.IndexFunc(all, func(a attack) bool { return a.name == name })
		if i < 0 {
			t.Fatalf("no attack is called %q", name)
		}
		found = append(found, all[i])
	}
	return found
}

// testRestored tries attacks on victims without the helper: larder restore fills a
// GOCACHE, and the go command then believes everything in that.
func (p *poisoned) testRestored(t *testing.T) {
	for _, a := range usualAttacks(named(t,
		"manifest: not signed",
		"manifest: signed by a stranger in the trusted key's name",
		"manifest: copied from another scope",
		"manifest: of an evil pack",
		"latest manifest: of another profile that is not signed",
		"pack: an evil one of this name",
		"pack: the signatures stripped",
	)) {
		for name, trust := range map[string]string{"without trust": "", "with trust": p.trust} {
			t.Run(a.name+"/"+name, func(t *testing.T) {
				endpoint := p.attack(t, a)
				m := newNative(t, p.dir, p.url(endpoint), slices.Concat(p.env, p.settings("LARDER_TRUST="+trust))...)
				if err := os.Rename(stocked(t), m.dir); err != nil {
					t.Fatal(err)
				}
				said := m.must(larder, "restore").stderr
				if refuses := trust != "" || a.unsigned == corrupt; strings.Count(said, "\n") > 1 || refuses != (said != "") {
					t.Errorf("restore says %q", said)
				}
				r, program := p.attempt(t, m)
				if isEvil := trust == "" && a.unsigned == evil; isEvil == bytes.Equal(program, p.program) || isEvil != m.holds(p.evil.prey.output) {
					t.Errorf("the program and the cache are not as they should be\n%s", r.stderr)
				}
			})
		}
	}
}

// testRepaired checks that the next build that signs replaces what was attacked. The
// build after that finds everything, and refuses nothing.
func (p *poisoned) testRepaired(t *testing.T) {
	for _, a := range usualAttacks(named(t,
		"object: not signed",
		"object: signed for another action",
		"manifest: signed by a stranger",
		"manifest: the signature stripped",
		"manifest: of an evil pack",
		"manifest: copied from another scope",
		"manifest: empty",
		"latest manifest: of another profile, copied there from a third",
		"pack: two entries in each other's place",
		"pack: an evil one, and the entry object, too",
		"pack: the signatures stripped",
		"pack: gone",
	)) {
		for _, w := range a.usualWays() {
			t.Run(a.name+"/"+string(w), func(t *testing.T) {
				p.attack(t, a)
				p.put(t)
				r, program := p.attempt(t, p.machine(t, p.endpoint, "LARDER_SIGN_KEY="+p.key.Text(), w.setting()))
				if got := p.effect(t, w, r, program); got != a.signed || r.stats.UploadErrors > 0 || strings.Count(r.stderr, "\n") > 1 {
					t.Errorf("the one that repairs: %s, want: %s\n%+v\n%s", got, a.signed, r.stats, r.stderr)
				}
				r, program = p.attempt(t, p.machine(t, p.endpoint, "LARDER_READONLY=true", "LARDER_TRUST="+p.trust, w.setting()))
				if !bytes.Equal(program, p.program) || r.stats.Corrupt+r.stats.Untrusted > 0 || r.stderr != "" || r.fromRemote() < p.hits(w) {
					t.Errorf("the next: %+v\n%s", r.stats, r.stderr)
				}
			})
		}
	}
}

// hits returns how many hits the remote gives to a victim that reads by w, without any
// attack.
func (p *poisoned) hits(w way) int64 { return p.healthy[w].PrefetchHits + p.healthy[w].RemoteHits }

// put uploads the objects that were attacked to the server, which gives them versions.
// The build that repairs an object names the version that it replaces.
func (p *poisoned) put(t *testing.T) {
	t.Helper()
	store := p.open(t)
	walkFiles(t, p.folder, func(path string) {
		name := strings.TrimPrefix(path, p.folder)
		if same(path, filepath.Join(p.filled, name)) {
			return
		}
		object := readFile(t, path)
		_, err := store.Put(t.Context(), filepath.ToSlash(name)[1:], bytes.NewReader(object), backend.OptionsOf(object))
		if err != nil {
			t.Fatal(err)
		}
	})
}

// testRotation brings a new key into use. Builds trust the old key, too, for a while,
// and then the new key alone.
func (p *poisoned) testRotation(t *testing.T) {
	next := newKey(t)
	trust, _ := next.Public()
	signing := []string{"LARDER_SIGN_KEY=" + next.Text(), "LARDER_TRUST=" + trust + "," + p.trust}
	const unchanged = int64(5) // packages
	for _, w := range []way{byLookup, eager} {
		t.Run(string(w), func(t *testing.T) {
			p.reset(t)
			build := func(what string, settings ...string) result {
				t.Helper()
				r, program := p.attempt(t, p.machine(t, p.endpoint, append(settings, w.setting())...))
				if r.status != 0 || r.stats.UploadErrors > 0 || strings.Count(r.stderr, "\n") > 1 {
					t.Fatalf("%s: exit status %d, %+v\n%s", what, r.status, r.stats, r.stderr)
				}
				if said, changed := p.run(t, program), what != "while both are trusted"; changed != (said == p.evil.says) {
					t.Fatalf("%s: the program says %q", what, said)
				}
				return r
			}
			r := build("while both are trusted", signing...)
			if r.stats.Untrusted > 0 || r.stats.Misses != p.healthy[w].Misses || r.fromRemote() != p.hits(w) {
				t.Errorf("what the old key has signed is not found: %+v", r.stats)
			}
			p.changed(t, func() {
				r := build("after a change", signing...)
				if r.stats.Untrusted > 0 || r.fromRemote() < 2*unchanged || r.stats.Uploads == 0 {
					t.Errorf("after a change: %+v", r.stats)
				}
				r = build("who trusts the new key alone", "LARDER_TRUST="+trust)
				// It misses the packages that did not change, and the link.
				if r.stats.Untrusted < unchanged || r.stats.Misses < unchanged+1 || r.stats.Uploads > 0 {
					t.Errorf("what the old key has signed is believed: %+v", r.stats)
				}
				build("who signs with the new key alone", "LARDER_SIGN_KEY="+next.Text())
				r = build("who comes after", "LARDER_TRUST="+trust)
				if r.stats.Untrusted > 0 || r.stderr != "" || r.fromRemote() < p.hits(w) {
					t.Errorf("the old key still has a say: %+v\n%s", r.stats, r.stderr)
				}
			})
		})
	}
}

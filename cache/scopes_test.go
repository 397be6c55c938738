package cache_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/larderbuild/larder/backend/backendtest"
	"github.com/larderbuild/larder/cache"
	"github.com/larderbuild/larder/sign"
)

// scoped gives a session the scope that it writes, and those that it reads.
func scoped(write string, read ...string) func(*cache.SessionConfig) {
	return func(c *cache.SessionConfig) { c.Target.Scope, c.Target.Read = write, read }
}

// pull is a session for a pull request.
func pull(name string) func(*cache.SessionConfig) { return scoped(name, name, "main") }

// A pull request takes what main has, and writes to its own scope what is new and
// nothing else. It finds that there the next time; others don't.
func TestScopes(t *testing.T) {
	for name, profiles := range map[string]func(*cache.SessionConfig){
		"with manifests":    under(profile),
		"without a profile": func(*cache.SessionConfig) {},
	} {
		t.Run(name, func(t *testing.T) {
			store := backendtest.Memory()
			a := newMachine(t, t.TempDir(), store, profiles)
			build(t, a, packages...)
			a.Close(time.Minute)
			before := keys(t, store, "v1/main/")

			b := newMachine(t, t.TempDir(), store, profiles, pull("pr-7"))
			rebuild(t, b, packages[:3]...)
			build(t, b, "pantry 2")
			if b.Close(time.Minute) {
				t.Fatal("something is left")
			}
			if after := keys(t, store, "v1/main/"); !slices.Equal(slices.Sorted(slices.Values(before)), slices.Sorted(slices.Values(after))) {
				t.Errorf("main has %q, and had %q", after, before)
			}
			if own := keys(t, store, "v1/pr-7/a/"); len(own) != 2 {
				t.Errorf("entry objects of the pull request: %q, want 2", own)
			}

			c := newMachine(t, t.TempDir(), store, profiles, pull("pr-7"))
			rebuild(t, c, packages[:3]...)
			rebuild(t, c, "pantry 2")
			c.Close(time.Minute)
			if s := c.stats.Summary(); s.Misses != 0 || s.RemoteBytesOut != 0 {
				t.Errorf("stats: %+v", s)
			}

			for _, elsewhere := range []func(*cache.SessionConfig){pull("pr-8"), scoped("main")} {
				d := newMachine(t, t.TempDir(), store, profiles, elsewhere)
				rebuild(t, d, packages...)
				d.wantMiss(t, "pantry 2")
				d.Close(time.Minute)
			}
		})
	}
}

// The manifest of a pull request names only what main's does not.
func TestNewsOfAPullRequest(t *testing.T) {
	store := built(t)

	b := newMachine(t, t.TempDir(), store, under(profile), pull("pr-7"))
	rebuild(t, b, packages...)
	b.Close(time.Minute)
	if own := keys(t, store, "v1/pr-7/"); len(own) != 0 {
		t.Errorf("without news there is %q", own)
	}

	c := newMachine(t, t.TempDir(), store, under(profile), pull("pr-7"))
	rebuild(t, c, packages[:3]...)
	build(t, c, "pantry 2")
	c.Close(time.Minute)
	if m := manifestIn(t, store, "pr-7", profile); len(m.Entries) != 2 || len(m.Packs) != 1 || m.Packs[0].Scope != "pr-7" {
		t.Errorf("%d entries in packs %+v, want the 2 that are new", len(m.Entries), m.Packs)
	}

	recorded, requests := traced(store)
	d := newMachine(t, t.TempDir(), recorded, under(profile), pull("pr-7"))
	rebuild(t, d, packages[:3]...)
	rebuild(t, d, "pantry 2")
	d.Close(time.Minute)
	if got := requests(); len(got) != 4 { // two manifests and two packs
		t.Errorf("requests:\n%s", strings.Join(got, "\n"))
	}
}

// If two scopes have an action the first counts. If its entry is no good, the second
// does.
func TestOrderOfScopes(t *testing.T) {
	store := backendtest.Memory()
	for _, scope := range []string{"pr-7", "main"} {
		m := newMachine(t, t.TempDir(), store, scoped(scope))
		m.wantMiss(t, "log")
		m.put(t, "log", "as "+scope+" has it")
		m.Close(time.Minute)
	}
	m := newMachine(t, t.TempDir(), store, pull("pr-7"))
	m.wantHit(t, "log", "as pr-7 has it")
	m.Close(0)

	id := actionID("log").String()
	key := "v1/pr-7/a/" + id[:2] + "/" + id
	object := read(t, store, key)
	object[len(object)-1] ^= 1
	write(t, store, key, object)
	m = newMachine(t, t.TempDir(), store, pull("pr-7"))
	m.wantHit(t, "log", "as main has it")
	m.Close(0)
	if s := m.stats.Summary(); s.Corrupt != 1 {
		t.Errorf("stats: %+v", s)
	}
}

// signing gives a session a key, and trust in what that key signs.
func signing(k *sign.Key) func(*cache.SessionConfig) {
	return func(c *cache.SessionConfig) { c.Policy = cache.Policy{Key: k, Trust: sign.Only(k)} }
}

func flushSigning(k *sign.Key) func(*cache.FlushConfig) {
	return func(c *cache.FlushConfig) { c.Policy = cache.Policy{Key: k, Trust: sign.Only(k)} }
}

func generate(t *testing.T) *sign.Key {
	t.Helper()
	k, err := sign.Generate()
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// A session and Flush sign all that they write. What no trusted key has signed is a miss,
// be it in a manifest, in a pack or in an entry object.
func TestTrust(t *testing.T) {
	k := generate(t)
	store := backendtest.Memory()
	a := newMachine(t, t.TempDir(), store, under(profile), signing(k))
	build(t, a, packages[:2]...)
	a.Close(time.Minute)
	b := newMachine(t, t.TempDir(), store, under(profile), signing(k))
	build(t, b, packages[2:]...)
	if !b.Close(0) {
		t.Fatal("nothing is left to Flush")
	}
	if _, err := flush(t.Context(), b.dir, store); err == nil || !strings.Contains(err.Error(), "no key to sign") {
		t.Errorf("flush without the key: %v", err)
	}
	if _, err := flush(t.Context(), b.dir, store, flushSigning(k)); err != nil {
		t.Fatal(err)
	}

	for _, profiles := range []func(*cache.SessionConfig){under(profile), func(*cache.SessionConfig) {}} {
		c := newMachine(t, t.TempDir(), store, profiles, signing(k))
		rebuild(t, c, packages...)
		c.Close(0)
		if s := c.stats.Summary(); s.Untrusted+s.Corrupt != 0 {
			t.Errorf("stats: %+v", s)
		}
		d := newMachine(t, t.TempDir(), store, profiles, signing(generate(t)))
		for _, name := range packages {
			d.wantMiss(t, name)
		}
		d.Close(0)
		if s := d.stats.Summary(); s.Untrusted == 0 || s.PrefetchHits+s.RemoteHits != 0 {
			t.Errorf("stats of who trusts another: %+v", s)
		}
		if n := strings.Count(d.log.String(), "level=WARN"); n != 1 {
			t.Errorf("%d warnings:\n%s", n, d.log)
		}
	}
}

// A session that does not sign leaves a journal for which Flush signs nothing, either:
// Flush has not seen how the entries were made.
func TestFlushSignsNothingUnsigned(t *testing.T) {
	store := backendtest.Memory()
	a := newMachine(t, t.TempDir(), store)
	build(t, a, packages...)
	a.Close(0)
	k := generate(t)
	if _, err := flush(t.Context(), a.dir, store, flushSigning(k)); err != nil {
		t.Fatal(err)
	}
	b := newMachine(t, t.TempDir(), store, signing(k))
	b.wantMiss(t, packages[0])
	b.Close(0)
}

package integration

import (
	"bytes"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/larderbuild/larder/sign"
)

// The tests here have an attacker who may write to the bucket, and has none of the
// keys that are trusted. What an attack comes to is shown by the program that a
// victim builds.

// attack is one way to poison a store.
type attack struct {
	name string
	ways []way // in which its victims come by what it changes
	do   func(*attacker)

	// answer, where not nil, changes the server's answers, too.
	answer func(*attacker, *http.Response) error

	// What it comes to without LARDER_TRUST, and with it.
	unsigned, signed effect

	lazily effect // unsigned, where that is something else for lazy victims
}

// way is how a victim comes by what the remote holds.
type way string

const (
	byLookup way = "by lookup" // of each entry object, without a manifest
	eager    way = "eager"     // by the manifest, out of packs
	lazy     way = "lazy"      // by the manifest, heads first
)

// setting returns what has a victim go w.
func (w way) setting() string {
	return map[way]string{byLookup: "LARDER_BENCH_PREFETCH=false", eager: "LARDER_BYTES=eager", lazy: "LARDER_BYTES=auto"}[w]
}

// effect is what an attack comes to.
type effect string

const (
	evil      effect = "the attacker's code is in the program"
	fails     effect = "the build fails"
	harmless  effect = "believed, or not even seen; all is as without it"
	missed    effect = "something is not found where it was"
	corrupt   effect = "refused as corrupt"
	untrusted effect = "refused as not signed"
)

// reaches reports whether what the go command makes is something else than without
// the attack.
func (e effect) reaches() bool { return e == evil || e == fails }

// attacks is everything that is tried. What is harmless or missed with LARDER_TRUST,
// too, is what signatures do not prevent.
func attacks() []attack {
	return slices.Concat(forgeries(), objectAttacks(), manifestAttacks(), latestAttacks(), packAttacks())
}

func TestPoison(t *testing.T) {
	p := newPoisoned(t)
	p.fill(t, newKey(t))
	t.Run("attacks", p.testAttacks)
	if raceEnabled {
		return // the rest has the same goroutines
	}
	t.Run("restored", p.testRestored)
	t.Run("repaired", p.testRepaired)
	t.Run("rotation", p.testRotation)
	t.Run("local tier", p.testLocalTier)
	t.Run("shared key", p.testSharedKey) // fills it anew
}

// testAttacks also says which of the attacks work without signatures.
func (p *poisoned) testAttacks(t *testing.T) {
	all := attacks()
	p.tryAll(t, all)
	var reach, change []string
	for _, a := range all {
		switch {
		case a.signed.reaches():
			t.Errorf("%s: signatures are to prevent that", a.name)
		case a.unsigned.reaches() || a.lazily.reaches():
			reach = append(reach, a.name)
		case a.unsigned == harmless && a.signed == untrusted:
			change = append(change, a.name)
		}
	}
	t.Logf("%d of %d reach the go command without LARDER_TRUST:\n%s", len(reach), len(all), strings.Join(reach, "\n"))
	t.Logf("%d more are believed then, and change nothing in this program:\n%s", len(change), strings.Join(change, "\n"))
}

// tryAll has victims of each attack.
func (p *poisoned) tryAll(t *testing.T, attacks []attack) {
	for _, a := range attacks {
		t.Run(a.name, func(t *testing.T) {
			for _, w := range a.ways {
				if raceEnabled && w != a.ways[0] {
					continue
				}
				// The race detector finds in the other half all that there is to find.
				if !raceEnabled && (w == a.ways[0] || a.lazily != "") {
					t.Run(string(w)+"/without trust", func(t *testing.T) { p.try(t, a, w, false) })
				}
				t.Run(string(w)+"/with trust", func(t *testing.T) { p.try(t, a, w, true) })
			}
		})
	}
}

// try has one victim of a, and checks what comes of it.
func (p *poisoned) try(t *testing.T, a attack, w way, trust bool) {
	endpoint := p.attack(t, a)
	settings, want := []string{"LARDER_READONLY=true", w.setting()}, a.unsigned
	switch {
	case trust:
		settings, want = append(settings, "LARDER_TRUST="+p.trust), a.signed
	case w == lazy && a.lazily != "":
		want = a.lazily
	}
	m := p.machine(t, endpoint, settings...)
	r, program := p.attempt(t, m)
	if got := p.effect(t, w, r, program); got != want {
		t.Errorf("it comes to: %s\nwant: %s\n%+v\n%s", got, want, r.stats, r.stderr)
	}
	if want != fails && r.stderr != "" && (strings.Count(r.stderr, "\n") > 1 || !strings.HasPrefix(r.stderr, "larder: ")) {
		t.Errorf("want a line of larder's on stderr at most, got:\n%s", r.stderr)
	}
	if !trust {
		return
	}
	if m.holds(p.evil.prey.output) {
		t.Error("the local tier holds the evil package")
	}
	for _, err := range m.damage() {
		t.Errorf("local tier: %v", err)
	}
}

// attack has the store, as it was filled, be attacked, and returns the endpoint at
// which victims reach it.
func (p *poisoned) attack(t *testing.T, a attack) (endpoint string) {
	t.Helper()
	p.reset(t)
	by := &attacker{poisoned: p, t: t, key: newKey(t)}
	if a.do != nil {
		a.do(by)
	}
	if a.answer == nil {
		return p.endpoint
	}
	return newGate(t, p.endpoint, nil, func(r *http.Response) error { return a.answer(by, r) })
}

// effect returns what r, of a victim that went w, and the program it has built show.
func (p *poisoned) effect(t *testing.T, w way, r result, program []byte) effect {
	t.Helper()
	s, h := r.stats, p.healthy[w]
	switch {
	case r.status != 0:
		return fails
	case !bytes.Equal(program, p.program):
		if said := p.run(t, program); said != p.evil.says {
			t.Errorf("the program says %q", said)
		}
		return evil
	case s.Corrupt > 0 && s.Untrusted > 0:
		return corrupt + ", and " + untrusted
	case s.Corrupt > 0:
		return corrupt
	case s.Untrusted > 0:
		return untrusted
	case s.PrefetchHits != h.PrefetchHits || s.RemoteHits != h.RemoteHits || s.Misses != h.Misses || s.RemoteRequests != h.RemoteRequests:
		return missed
	}
	return harmless
}

// testSharedKey has victims that trust an hmac key, of which the attacker knows the
// name.
func (p *poisoned) testSharedKey(t *testing.T) {
	shared, err := sign.GenerateHMAC()
	if err != nil {
		t.Fatal(err)
	}
	p.fill(t, shared)
	p.tryAll(t, sharedKeyForgeries())
}

// newKey returns a key that nobody has.
func newKey(t testing.TB) *sign.Key {
	t.Helper()
	key, err := sign.Generate()
	if err != nil {
		t.Fatal(err)
	}
	return key
}

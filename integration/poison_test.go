package integration

import (
	"bytes"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/larderbuild/larder/sign"
)

// In these tests an attacker can write to the bucket and has no key that victims
// trust. The program that a victim builds shows the effect of an attack.

// attack is one way to poison a store.
type attack struct {
	name string
	ways []way // in which victims read what it changes; the first is the usual one
	do   func(*attacker)

	// answer, where not nil, changes the server's answers.
	answer func(*attacker, *http.Response) error

	// The effect without LARDER_TRUST, and with it.
	unsigned, signed effect

	lazily effect // instead of unsigned for lazy victims, where that differs
}

// way is how a victim reads what the remote holds.
type way string

const (
	byLookup   way = "by lookup"   // of each entry object, without a manifest
	bySiblings way = "by siblings" // without entry objects, by the manifests of all profiles
	eager      way = "eager"       // by the manifest, out of packs
	lazy       way = "lazy"        // by the manifest, heads first
)

// setting returns the setting with which a victim reads by w.
func (w way) setting() string {
	return map[way]string{
		byLookup: "LARDER_BENCH_PREFETCH=false", bySiblings: "LARDER_OBJECTS=none", eager: "LARDER_BYTES=eager", lazy: "LARDER_BYTES=auto",
	}[w]
}

// effect is what an attack achieves.
type effect string

const (
	evil      effect = "the attacker's code is in the program"
	fails     effect = "the build fails"
	harmless  effect = "believed, or not even seen; all is as without it"
	missed    effect = "something is not found where it was"
	corrupt   effect = "refused as corrupt"
	untrusted effect = "refused as not signed"
)

// reaches reports whether the attack changes what the go command makes.
func (e effect) reaches() bool { return e == evil || e == fails }

// attacks returns all attacks. Signatures do not prevent those that are harmless or
// missed with LARDER_TRUST, too.
func attacks() []attack {
	return slices.Concat(forgeries(), objectAttacks(), riderAttacks(), manifestAttacks(), rosterAttacks(), siblingAttacks(), packAttacks(), referralAttacks())
}

func TestPoison(t *testing.T) {
	t.Parallel()
	p := newPoisoned(t)
	p.fill(t, newKey(t))
	t.Run("attacks", p.testAttacks)
	t.Run("restored", p.testRestored)
	t.Run("repaired", p.testRepaired)
	t.Run("rotation", p.testRotation)
	t.Run("local tier", p.testLocalTier)
	t.Run("shared key", p.testSharedKey) // fills it anew
}

// testAttacks tries all attacks. Where whole is set, it also lists those that work
// without signatures.
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
	if !whole {
		return // most attacks were not tried without LARDER_TRUST
	}
	t.Logf("%d of %d reach the go command without LARDER_TRUST:\n%s", len(reach), len(all), strings.Join(reach, "\n"))
	t.Logf("%d more are believed then, and change nothing in this program:\n%s", len(change), strings.Join(change, "\n"))
}

// tryAll tries the usual ones of attacks on a victim that trusts a key, and on one that does
// not.
func (p *poisoned) tryAll(t *testing.T, attacks []attack) {
	for _, a := range usualAttacks(attacks) {
		t.Run(a.name, func(t *testing.T) {
			for _, w := range a.usualWays() {
				if w == a.ways[0] || a.lazily != "" {
					t.Run(string(w)+"/without trust", func(t *testing.T) { p.try(t, a, w, false) })
				}
				t.Run(string(w)+"/with trust", func(t *testing.T) { p.try(t, a, w, true) })
			}
		})
	}
}

// usualAttacks returns all attacks where whole is set. Otherwise it returns the first attack
// on each kind of object that has the same effects.
func usualAttacks(attacks []attack) (some []attack) {
	if whole {
		return attacks
	}
	type reason struct {
		object                   string
		unsigned, lazily, signed effect
	}
	seen := make(map[reason]bool)
	for _, a := range attacks {
		object, _, _ := strings.Cut(a.name, ":")
		r := reason{object, a.unsigned, a.lazily, a.signed}
		if !seen[r] {
			seen[r] = true
			some = append(some, a)
		}
	}
	return some
}

// usualWays returns all ways of a where whole is set, or where they differ in their
// effects. Otherwise it returns the first.
func (a attack) usualWays() []way {
	if whole || a.lazily != "" {
		return a.ways
	}
	return a.ways[:1]
}

// try makes one victim build after a, and checks the effect.
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

// attack makes the store what fill left, and attacks it. It returns the endpoint at
// which victims reach the store.
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

// effect returns the effect on a victim that read by w: r is the outcome of its build,
// and program is what it has built.
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

// testSharedKey tries attacks on victims that trust an hmac key. The attacker knows the
// key's name.
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

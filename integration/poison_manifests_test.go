package integration

import (
	"encoding/binary"
	"math"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/larderbuild/larder/entry"
	"github.com/larderbuild/larder/pack"
)

// manifestAttacks returns the attacks on the victims' manifest.
func manifestAttacks() []attack {
	// copied copies a manifest that was signed for another place.
	copied := func(from pack.Place) func(*attacker) {
		return func(a *attacker) { a.publish(victimManifest(), a.signed(a.inlineEvil(), from)) }
	}
	// replace replaces the manifest.
	replace := func(with func(a *attacker, object []byte) []byte) func(*attacker) {
		return func(a *attacker) { a.publish(victimManifest(), with(a, a.read(objectKey(victimManifest())))) }
	}
	// unsigned changes what the manifest says.
	unsigned := func(change func(a *attacker, m *pack.Manifest)) func(*attacker) {
		return func(a *attacker) {
			m := a.manifest()
			change(a, m)
			a.publish(victimManifest(), a.unsigned(m))
		}
	}
	attacks := []attack{
		{name: "copied from another profile", do: copied(manifestPlace("main", chainedModule, "other")), unsigned: evil, signed: untrusted},
		{name: "copied from another module", do: copied(manifestPlace("main", "example.com/other", victimProfile)), unsigned: evil, signed: untrusted},
		{name: "copied from another scope", do: copied(manifestPlace("pr-7", chainedModule, victimProfile)), unsigned: evil, signed: untrusted},
		{name: "of an evil pack", ways: []way{eager, lazy}, do: func(a *attacker) {
			a.publish(victimManifest(), a.unsigned(a.packedEvil("main", entry.Signer{})))
		}, unsigned: evil, signed: untrusted},
		{name: "of an evil pack that was signed in another scope and copied", ways: []way{eager, lazy}, do: func(a *attacker) {
			a.publish(victimManifest(), a.unsigned(a.packedEvil("main", entry.Signer{Key: a.trusted(), Scope: "pr-7"})))
		}, unsigned: evil, signed: untrusted},
		{name: "of an evil pack in a scope that is not read", ways: []way{eager, lazy}, do: func(a *attacker) {
			a.publish(victimManifest(), a.unsigned(a.packedEvil("pr-7", entry.Signer{Key: a.trusted(), Scope: "pr-7"})))
		}, unsigned: missed, signed: untrusted},
		{name: "copied from another scope, of an evil pack there", ways: []way{eager, lazy}, do: func(a *attacker) {
			by := entry.Signer{Key: a.trusted(), Scope: "pr-7"}
			a.publish(victimManifest(), a.signed(a.packedEvil("pr-7", by), manifestPlace("pr-7", chainedModule, victimProfile)))
		}, unsigned: missed, signed: untrusted},
		{name: "the signature stripped", ways: []way{eager, lazy}, do: replace(func(a *attacker, _ []byte) []byte { return a.unsigned(a.manifest()) }), unsigned: harmless, signed: untrusted},

		// The session cannot take back a head that it has given to the go command. The
		// build fails if the body does not begin with that head.
		{name: "a forged head", do: unsigned(func(a *attacker, m *pack.Manifest) { a.preyed(m).Head = pack.Head(a.evil.prey.body) }), unsigned: fails, signed: untrusted},
		{name: "a forged head under the old signature", do: replace(func(a *attacker, object []byte) []byte {
			return a.forgedHead(func(h []byte) {
				copy(h[manifestLayout.signature-8:], object[manifestLayout.signature-8:manifestHeader])
			})
		}), unsigned: fails, signed: untrusted},
		{name: "a forged head under the old header", do: replace(func(a *attacker, object []byte) []byte {
			return a.forgedHead(func(h []byte) { copy(h, object[:manifestHeader]) })
		}), unsigned: corrupt, signed: corrupt},
		{name: "a forged head that nobody looks at", ways: []way{eager}, do: unsigned(func(a *attacker, m *pack.Manifest) { a.preyed(m).Head = pack.Head(a.evil.prey.body) }), unsigned: harmless, signed: untrusted},

		{name: "another package's output", ways: []way{eager, lazy}, do: unsigned(func(a *attacker, m *pack.Manifest) {
			e, action := a.preyed(m), a.preyed(m).Action
			*e = *a.beside(m)
			e.Action = action
			m.Entries = drop(m.Entries, a.beside(m).Action)
		}), unsigned: corrupt, lazily: corrupt, signed: untrusted},
		{name: "another time", ways: []way{eager}, do: unsigned(func(a *attacker, m *pack.Manifest) { e := a.preyed(m); e.Time = e.Time.Add(time.Hour) }), unsigned: corrupt, signed: untrusted},
		{name: "another size of a body", ways: []way{eager}, do: unsigned(func(a *attacker, m *pack.Manifest) { a.preyed(m).Size-- }), unsigned: corrupt, signed: untrusted},

		// It names only what the writers of main have put, and costs lookups.
		{name: "an older one that was signed, in place of a newer", do: func(a *attacker) {
			m := a.manifest()
			m.Entries = drop(m.Entries, a.preyed(m).Action)
			a.publish(victimManifest(), a.signed(m, victimManifest()))
		}, unsigned: missed, signed: missed},
		{name: "cut in the header", do: replace(func(_ *attacker, b []byte) []byte { return b[:100] }), unsigned: corrupt, signed: corrupt},
		{name: "cut in the payload", do: replace(func(_ *attacker, b []byte) []byte { return b[:len(b)-1] }), unsigned: corrupt, signed: corrupt},
		{name: "empty", do: replace(func(*attacker, []byte) []byte { return nil }), unsigned: corrupt, signed: corrupt},
		{name: "a directory", do: func(a *attacker) {
			a.remove(objectKey(victimManifest()))
			a.write(objectKey(victimManifest())+"/object", a.unsigned(a.inlineEvil()))
		}, unsigned: missed, signed: missed},
		{name: "of the version without signatures", do: replace(func(_ *attacker, b []byte) []byte {
			b[9] = 1
			return manifestLayout.seal(b)
		}), unsigned: corrupt, signed: corrupt},
		{name: "sizes of all ones", do: replace(func(_ *attacker, b []byte) []byte {
			binary.BigEndian.PutUint64(b[10:], math.MaxUint64)
			binary.BigEndian.PutUint64(b[18:], math.MaxUint64)
			return manifestLayout.seal(b)
		}), unsigned: corrupt, signed: corrupt},
		{name: "a bomb that says so", do: replace(func(a *attacker, b []byte) []byte { return a.manifestBomb(b, bombSize) }), unsigned: corrupt, signed: untrusted},
		{name: "a bomb that says it is small", do: replace(func(a *attacker, b []byte) []byte { return a.manifestBomb(b, 1000) }), unsigned: corrupt, signed: untrusted},
		{name: "a good one and no end", answer: endless(func(*attacker) string { return objectKey(victimManifest()) }, keep), unsigned: corrupt, signed: corrupt},
	}
	for i := range attacks {
		attacks[i].name = "manifest: " + attacks[i].name
		if attacks[i].ways == nil {
			attacks[i].ways = []way{lazy}
		}
	}
	return attacks
}

// manifestBomb returns a manifest of bombSize zeros whose header says that there are
// size of them.
func (a *attacker) manifestBomb(object []byte, size uint64) []byte {
	a.t.Helper()
	enc, err := zstd.NewWriter(nil)
	if err != nil {
		a.t.Fatal(err)
	}
	object = enc.EncodeAll(make([]byte, bombSize), object[:manifestHeader])
	binary.BigEndian.PutUint64(object[10:], size)
	return manifestLayout.describe(object)
}

// rosterAttacks returns the attacks on the object that names a module's profiles. Victims
// read the manifest of the first one where their own profile has none.
func rosterAttacks() []attack {
	// latest removes the victims' manifest, calls write, and names the latest profile.
	latest := func(name string, write func(*attacker)) func(*attacker) {
		return func(a *attacker) {
			a.remove(objectKey(victimManifest()))
			write(a)
			a.write(objectKey(pack.Place{Scope: "main", Name: strings.TrimSuffix(victimManifest().Name, victimProfile) + "@profiles"}), []byte(name))
		}
	}
	other := manifestPlace("main", chainedModule, "other")
	attacks := []attack{
		{name: "of another profile that is not signed", do: latest("other", func(a *attacker) { a.publish(other, a.unsigned(a.inlineEvil())) }), unsigned: evil, signed: untrusted},
		{name: "of another profile, copied there from a third", do: latest("other", func(a *attacker) {
			a.publish(other, a.signed(a.inlineEvil(), manifestPlace("main", chainedModule, "third")))
		}), unsigned: evil, signed: untrusted},
		{name: "of another profile, copied there from another scope", do: latest("other", func(a *attacker) {
			a.publish(other, a.signed(a.inlineEvil(), manifestPlace("pr-7", chainedModule, "other")))
		}), unsigned: evil, signed: untrusted},
		// The object is there for that: a writer of main has signed the manifest.
		{name: "of another profile that is signed", do: latest("other", func(a *attacker) { a.publish(other, a.signed(a.manifest(), other)) }), unsigned: missed, signed: missed},
		{name: "a way into another module", do: latest("../example.com%2Fother/other", evilEverywhere), unsigned: missed, signed: missed},
		{name: "a way into another scope", do: latest("../../../../pr-7/m/v5/example.com%2Fchained/victim", evilEverywhere), unsigned: missed, signed: missed},
		{name: "the folder itself", do: latest("..", evilEverywhere), unsigned: missed, signed: missed},
		{name: "nothing", do: latest("", evilEverywhere), unsigned: missed, signed: missed},
		{name: "garbage", do: latest("\x00\xff\n?#%2e%2e/\r\n", evilEverywhere), unsigned: missed, signed: missed},
		{name: "without an end", do: latest(strings.Repeat("other", 1<<20), evilEverywhere), unsigned: missed, signed: missed},
	}
	for i := range attacks {
		attacks[i].name = "latest manifest: " + attacks[i].name
		attacks[i].ways = []way{lazy}
	}
	return attacks
}

// evilEverywhere writes the evil manifest to places that victims do not read.
func evilEverywhere(a *attacker) {
	for _, place := range []pack.Place{manifestPlace("main", "example.com/other", "other"), manifestPlace("pr-7", chainedModule, victimProfile)} {
		a.publish(place, a.signed(a.inlineEvil(), place))
	}
}

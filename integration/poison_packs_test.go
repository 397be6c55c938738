package integration

import (
	"bytes"

	"github.com/larderbuild/larder/entry"
	"github.com/larderbuild/larder/pack"
)

// packAttacks returns the attacks on the pack that holds the prey. They do not change
// the manifest.
func packAttacks() []attack {
	// replace replaces the pack.
	replace := func(with func(a *attacker, object []byte, m *pack.Manifest) []byte) func(*attacker) {
		return func(a *attacker) { a.write(a.packKey(), with(a, a.read(a.packKey()), a.manifest())) }
	}
	// put replaces the prey's entry in the pack.
	put := func(object func(a *attacker, old []byte) []byte) func(*attacker) {
		return replace(func(a *attacker, b []byte, m *pack.Manifest) []byte {
			at := within(b, a.preyed(m))
			copy(at, append(object(a, bytes.Clone(at)), make([]byte, len(at))...))
			return b
		})
	}
	attacks := []attack{
		{name: "two entries in each other's place", do: replace(func(a *attacker, b []byte, m *pack.Manifest) []byte {
			prey, beside := within(b, a.preyed(m)), within(b, a.beside(m))
			old := bytes.Clone(prey)
			copy(prey, beside)
			copy(beside, old)
			return b
		}), unsigned: corrupt, signed: corrupt},
		{name: "an evil one of this name", do: put(func(a *attacker, _ []byte) []byte { return a.evilObject(entry.Signer{}) }), unsigned: corrupt, signed: untrusted},
		{name: "an evil one of this name, signed in another scope", do: put(func(a *attacker, _ []byte) []byte {
			return a.evilObject(entry.Signer{Key: a.trusted(), Scope: "pr-7"})
		}), unsigned: corrupt, signed: untrusted},
		{name: "another one, of the output that the manifest promises", do: put(func(a *attacker, old []byte) []byte { return a.lookalike(old) }), unsigned: corrupt, signed: untrusted},
		{name: "another one, of that output and with the old signature", do: put(func(a *attacker, old []byte) []byte {
			return append(old[:entry.HeaderSize:entry.HeaderSize], a.lookalike(old)[entry.HeaderSize:]...)
		}), unsigned: corrupt, signed: corrupt},
		{name: "the signatures stripped", do: replace(func(a *attacker, b []byte, m *pack.Manifest) []byte {
			for i := range m.Entries {
				if e := &m.Entries[i]; e.InPack() {
					copy(within(b, e), a.relabel(bytes.Clone(within(b, e)), strip))
				}
			}
			return b
		}), unsigned: harmless, signed: untrusted},
		{name: "a stranger's signatures", do: put(func(a *attacker, old []byte) []byte { return entryLayout.sign(old, a.key, a.key.ID(), "main") }), unsigned: harmless, signed: untrusted},
		{name: "a bomb in it", do: put(func(a *attacker, _ []byte) []byte { return a.bomb(bombSize) }), unsigned: corrupt, signed: untrusted},
		{name: "an evil one, and the entry object, too", do: func(a *attacker) {
			put(func(a *attacker, _ []byte) []byte { return a.evilObject(entry.Signer{}) })(a)
			a.write(a.preyKey(), a.evilObject(entry.Signer{}))
		}, unsigned: evil, lazily: corrupt, signed: untrusted},
		{name: "cut", do: replace(func(_ *attacker, b []byte, _ *pack.Manifest) []byte { return b[:len(b)/2] }), unsigned: corrupt, signed: corrupt},
		{name: "empty", do: replace(func(*attacker, []byte, *pack.Manifest) []byte { return nil }), unsigned: corrupt, signed: corrupt},
		{name: "gone", do: func(a *attacker) { a.remove(a.packKey()) }, unsigned: missed, signed: missed},
		{name: "a directory", do: func(a *attacker) {
			key := a.packKey()
			a.remove(key)
			a.write(key+"/object", a.evilObject(entry.Signer{}))
		}, unsigned: missed, signed: missed},
		// A victim reads no more than the part that it asked for.
		{name: "a good one and no end", answer: endless((*attacker).packKey, keep), unsigned: harmless, signed: harmless},
		{name: "zeros and no end", answer: endless((*attacker).packKey, lose), unsigned: corrupt, signed: corrupt},
	}
	for i := range attacks {
		attacks[i].name = "pack: " + attacks[i].name
		attacks[i].ways = []way{eager, lazy}
	}
	return attacks
}

// lookalike returns an intact entry object with the prey's header and length. Only its
// body differs.
func (a *attacker) lookalike(object []byte) []byte {
	a.t.Helper()
	h, err := entry.ParseHeader(object)
	if err != nil {
		a.t.Fatal(err)
	}
	for i := len(a.clean.prey.body) - 1; i >= 0; i-- {
		body := bytes.Clone(a.clean.prey.body)
		body[i] ^= 1
		if other := a.encode(h, body, entry.Signer{}); len(other) == len(object) {
			return other
		}
	}
	a.t.Fatal("every change makes it shorter or longer")
	return nil
}

// within returns the part of a pack that holds an entry.
func within(object []byte, e *pack.Entry) []byte {
	end := e.Offset + e.Length
	return object[e.Offset:end:end]
}

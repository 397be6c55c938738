package integration

import (
	"crypto/md5"

	"github.com/larderbuild/larder/entry"
	"github.com/larderbuild/larder/pack"
)

// referralAttacks returns the attacks with a referral in place of the prey's entry object, and
// on the manifest to which it refers: that of another profile, which names the prey, too.
func referralAttacks() []attack {
	other := manifestPlace("main", chainedModule, "other")
	// refer puts a referral, made by by, in place of the prey's entry object, after change has
	// changed it. The manifest to which it refers is what object returns.
	refer := func(by func(*attacker) entry.Signer, object func(*attacker) []byte, change func(a *attacker, referral []byte) []byte) func(*attacker) {
		return func(a *attacker) {
			a.publish(other, object(a))
			a.write(a.preyKey(), change(a, a.referral(other.Name, by(a))))
		}
	}
	nobody := func(*attacker) entry.Signer { return entry.Signer{} }
	trusted := func(a *attacker) entry.Signer { return entry.Signer{Key: a.trusted(), Scope: "main"} }
	elsewhere := func(a *attacker) entry.Signer { return entry.Signer{Key: a.trusted(), Scope: "pr-7"} }
	good := func(a *attacker) []byte { return a.signed(a.manifest(), other) }
	bad := func(a *attacker) []byte { return a.unsigned(a.inlineEvil()) }
	asIs := func(_ *attacker, referral []byte) []byte { return referral }
	// redirect has a referral refer to another name, and corrects its checksums.
	redirect := func(to string) func(*attacker, []byte) []byte {
		return func(a *attacker, referral []byte) []byte {
			h := a.parsed(referral)
			h.PayloadSize, h.MD5 = int64(len(to)), md5.Sum([]byte(to))
			return append(h.Append(nil), to...)
		}
	}
	attacks := []attack{
		// That is what referrals are for: a writer of main has signed both.
		{name: "signed", do: refer(trusted, good, asIs), unsigned: missed, signed: missed},
		{name: "not signed", do: refer(nobody, good, asIs), unsigned: missed, signed: untrusted},
		{name: "signed in another scope", do: refer(elsewhere, good, asIs), unsigned: missed, signed: untrusted},
		{name: "to an evil manifest", do: refer(nobody, bad, asIs), unsigned: evil, signed: untrusted},
		{name: "signed, and its manifest replaced", do: refer(trusted, bad, asIs), unsigned: evil, signed: untrusted},
		{name: "signed, and its manifest copied from another scope", do: refer(trusted, func(a *attacker) []byte {
			return a.signed(a.inlineEvil(), manifestPlace("pr-7", chainedModule, "other"))
		}, asIs), unsigned: evil, signed: untrusted},
		{name: "signed, and its manifest copied from another profile", do: refer(trusted, func(a *attacker) []byte {
			return a.signed(a.inlineEvil(), victimManifest())
		}, asIs), unsigned: evil, signed: untrusted},
		{name: "signed, and an evil entry in the pack", do: refer(trusted, func(a *attacker) []byte {
			return a.unsigned(a.packedEvil("main", entry.Signer{}))
		}, asIs), unsigned: evil, signed: untrusted},
		{name: "sent to another manifest", do: refer(trusted, good, func(a *attacker, referral []byte) []byte {
			a.publish(manifestPlace("main", chainedModule, "evils"), bad(a))
			return redirect(manifestPlace("main", chainedModule, "evils").Name)(a, referral)
		}), unsigned: evil, signed: untrusted},
		{name: "sent to another scope", do: refer(trusted, good, redirect("../pr-7/"+other.Name)), unsigned: corrupt, signed: untrusted},
		{name: "sent to a pack", do: refer(trusted, good, redirect("p/00/00")), unsigned: corrupt, signed: untrusted},
		{name: "sent to a place that is too long", do: refer(trusted, good, redirect(string(make([]byte, entry.MaxReference+1)))), unsigned: corrupt, signed: corrupt},
		{name: "sent to nothing", do: refer(trusted, good, redirect("")), unsigned: corrupt, signed: corrupt},
		{name: "another reference under the old digest", do: refer(trusted, good, func(_ *attacker, referral []byte) []byte {
			referral[len(referral)-1] ^= 1
			return referral
		}), unsigned: corrupt, signed: corrupt},
		{name: "as if it were a body", do: refer(trusted, good, func(a *attacker, referral []byte) []byte {
			return a.relabel(referral, func(h *entry.Header) {
				h.Codec, h.BodySize = entry.Raw, h.PayloadSize
				h.RidersSize, h.RidersStored = 1, 1 // or the header were shorter
			})
		}), unsigned: corrupt, signed: untrusted},
		{name: "of another action", do: refer(trusted, good, func(a *attacker, referral []byte) []byte {
			return a.relabel(referral, func(h *entry.Header) { h.Action = a.beside(a.manifest()).Action })
		}), unsigned: corrupt, signed: corrupt},
		{name: "to a manifest that is gone", do: refer(trusted, good, func(a *attacker, referral []byte) []byte {
			a.remove(objectKey(other))
			return referral
		}), unsigned: missed, signed: missed},
		{name: "to a manifest that no longer names it", do: refer(trusted, func(a *attacker) []byte {
			m := a.manifest()
			m.Entries = drop(m.Entries, a.preyed(m).Action)
			return a.signed(m, other)
		}, asIs), unsigned: missed, signed: missed},
		{name: "a good one and no end", do: refer(trusted, good, asIs), answer: endless((*attacker).preyKey, keep), unsigned: corrupt, signed: corrupt},
	}
	for i := range attacks {
		attacks[i].name = "referral: " + attacks[i].name
		attacks[i].ways = []way{byLookup}
	}
	return append(attacks, attack{name: "referral: in a pack", ways: []way{eager, lazy}, do: func(a *attacker) {
		m := a.manifest()
		a.write(a.packKey(), a.repack(a.read(a.packKey()), m, func(within func(*pack.Entry) []byte) {
			at := within(a.preyed(m))
			clear(at)
			copy(at, a.referral(victimManifest().Name, trusted(a)))
		}))
	}, unsigned: corrupt, signed: corrupt})
}

// referral returns a referral to a manifest in place of the prey's entry object.
func (a *attacker) referral(name string, by entry.Signer) []byte {
	a.t.Helper()
	object, err := entry.EncodeReferral(a.header(a.clean.prey.body), name, by)
	if err != nil {
		a.t.Fatal(err)
	}
	return object
}

package integration

import (
	"slices"
	"strings"

	"github.com/larderbuild/larder/pack"
)

// siblingAttacks returns the attacks on the manifest of another profile of the module. Without
// entry objects, victims ask it for what their own manifest does not name.
func siblingAttacks() []attack {
	other := manifestPlace("main", chainedModule, "other")
	// sibling takes the prey out of the victims' manifest, as somebody who is trusted has
	// signed it, and names the other profile in the roster. Its manifest is what object returns.
	sibling := func(object func(*attacker) []byte) func(*attacker) {
		return func(a *attacker) {
			m, prey := a.manifest(), a.preyed(a.manifest()).Action
			m.Entries = slices.DeleteFunc(m.Entries, func(e pack.Entry) bool { return e.Action == prey })
			a.publish(victimManifest(), a.signed(m, victimManifest()))
			a.publish(other, object(a))
			a.write(objectKey(pack.Place{Scope: "main", Name: strings.TrimSuffix(other.Name, "other") + "@profiles"}), []byte(victimProfile+"\nother\n"))
		}
	}
	return []attack{
		{name: "sibling: not signed", ways: []way{bySiblings}, do: sibling(func(a *attacker) []byte {
			return a.unsigned(a.inlineEvil())
		}), unsigned: evil, signed: untrusted},
		{name: "sibling: copied from a third profile", ways: []way{bySiblings}, do: sibling(func(a *attacker) []byte {
			return a.signed(a.inlineEvil(), manifestPlace("main", chainedModule, "third"))
		}), unsigned: evil, signed: untrusted},
		{name: "sibling: copied from another scope", ways: []way{bySiblings}, do: sibling(func(a *attacker) []byte {
			return a.signed(a.inlineEvil(), manifestPlace("pr-7", chainedModule, "other"))
		}), unsigned: evil, signed: untrusted},
		// That is what siblings are for: a writer of main has signed it.
		{name: "sibling: signed", ways: []way{bySiblings}, do: sibling(func(a *attacker) []byte {
			return a.signed(a.manifest(), other)
		}), unsigned: missed, signed: missed},
	}
}

package pack

import "github.com/larderbuild/larder/protocol"

// subkeyNames has the names with which the go command derives actions from others, for
// what a package has besides its archive. Half of all actions are derived. Their IDs
// are hashes, which do not compress.
var subkeyNames = [...]string{"stdout", "srcfiles", "link-stdout"}

// subkey says how the action of an entry is derived from the action of another entry,
// its parent.
type subkey struct {
	name   int // 1 + index in subkeyNames; 0: the action is not derived
	parent int // index of the parent in Manifest.Entries
}

// action returns the action that s derives from the parent's action.
func (s subkey) action(parent protocol.ActionID) protocol.ActionID {
	return parent.Subkey(subkeyNames[s.name-1])
}

// subkeys returns how the action of each entry is derived. A parent's action is never
// derived itself.
func (m *Manifest) subkeys() []subkey {
	index := make(map[protocol.ActionID]int, len(m.Entries))
	for i := range m.Entries {
		index[m.Entries[i].Action] = i
	}
	subkeys := make([]subkey, len(m.Entries))
	for parent := range m.Entries {
		for name := range subkeyNames {
			s := subkey{1 + name, parent}
			if i, ok := index[s.action(m.Entries[parent].Action)]; ok {
				subkeys[i] = s
			}
		}
	}
	for i, s := range subkeys {
		if s.name > 0 && subkeys[s.parent].name > 0 {
			subkeys[i] = subkey{}
		}
	}
	return subkeys
}

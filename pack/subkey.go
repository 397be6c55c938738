package pack

import (
	"crypto/sha256"

	"github.com/larderbuild/larder/protocol"
)

// subkeyNames are those by which the go command derives actions from others, for
// what belongs to a package besides its archive. They are half of all actions, and
// no compression finds that a hash is one of another.
var subkeyNames = [...]string{"stdout", "srcfiles", "link-stdout"}

// subkey says how an entry's action is derived.
type subkey struct {
	name   int // 1 + index in subkeyNames; 0: it is not
	parent int // index of the entry whose action it is derived from
}

// of returns the action, as Subkey of the go command's cache package does.
func (s subkey) of(parent protocol.ActionID) protocol.ActionID {
	b := append(make([]byte, 0, 64), "subkey:"...)
	b = append(b, parent[:]...)
	b = append(b, subkeyNames[s.name-1]...)
	return sha256.Sum256(b)
}

// subkeys returns how the action of each entry is derived. What it is derived from
// is not derived itself.
func (m *Manifest) subkeys() []subkey {
	index := make(map[protocol.ActionID]int, len(m.Entries))
	for i := range m.Entries {
		index[m.Entries[i].Action] = i
	}
	subkeys := make([]subkey, len(m.Entries))
	for parent := range m.Entries {
		for name := range subkeyNames {
			s := subkey{1 + name, parent}
			if i, ok := index[s.of(m.Entries[parent].Action)]; ok {
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

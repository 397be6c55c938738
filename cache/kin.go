package cache

import (
	"sync"
	"time"

	"github.com/larderbuild/larder/localdisk"
	"github.com/larderbuild/larder/protocol"
)

// kin knows which actions are subkeys of those that the session has met: the go command
// has asked for these, or put them. So a lookup of a subkey finds the entry object in which
// it may ride. kin also knows of which entry objects the session has asked for the riders.
// Its methods may be called at the same time.
type kin struct {
	local *localdisk.Dir

	mu       sync.Mutex
	met      []protocol.ActionID                 // their subkeys are not in descents yet
	parents  []protocol.ActionID                 // those that were met before and are no subkeys
	descents map[prefix]descent                  // by subkey
	asked    map[protocol.ActionID]bool          // their entry objects were asked for
	came     map[protocol.ActionID]time.Duration // riders that no get has asked for yet, with their costs
}

// prefix is the beginning of an action, which is enough to tell actions apart: there are
// several subkeys for each parent, and one that is mistaken costs a request.
type prefix [8]byte

func prefixOf(action protocol.ActionID) prefix { return prefix(action[:8]) }

// descent says of which action another one is a subkey.
type descent struct {
	parent int32 // index in parents
	isList bool  // of the parent's sources
}

func newKin(local *localdisk.Dir) *kin {
	return &kin{
		local:    local,
		descents: make(map[prefix]descent),
		asked:    make(map[protocol.ActionID]bool),
		came:     make(map[protocol.ActionID]time.Duration),
	}
}

// meet notes that the go command has put action, or has had an answer to a get of it. Most
// sessions never ask whose subkey an action is, so the subkeys are computed only then.
func (k *kin) meet(action protocol.ActionID) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.met = append(k.met, action)
	delete(k.came, action)
}

// parent returns the action of which action is a subkey, if the session has met it, and
// whether the session has asked for its entry object.
func (k *kin) parent(action protocol.ActionID) (parent protocol.ActionID, ok, asked bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, a := range k.met {
		k.derive(a)
	}
	k.met = nil
	d, ok := k.descents[prefixOf(action)]
	if !ok {
		return protocol.ActionID{}, false, false
	}
	parent = k.parents[d.parent]
	return parent, true, k.asked[parent]
}

// derive notes the subkeys of action. A subkey is taken to have none, but a list of sources
// tells of more subkeys of its parent. The caller holds k.mu.
func (k *kin) derive(action protocol.ActionID) {
	if d, ok := k.descents[prefixOf(action)]; ok {
		if d.isList {
			parent := k.parents[d.parent]
			for _, name := range generatedOf(k.local, parent) {
				k.note(parent.Subkey(name), descent{parent: d.parent})
			}
		}
		return
	}
	if _, known := k.descents[prefixOf(action.Subkey(listName))]; known {
		return
	}
	index := int32(len(k.parents))
	k.parents = append(k.parents, action)
	for _, name := range subkeyNames {
		k.note(action.Subkey(name), descent{parent: index, isList: name == listName})
	}
}

// note notes the descent of subkey. The caller holds k.mu.
func (k *kin) note(subkey protocol.ActionID, d descent) { k.descents[prefixOf(subkey)] = d }

// answered notes that the session has asked for the entry object of action, what came with
// it, and whether that is all.
func (k *kin) answered(action protocol.ActionID, came map[protocol.ActionID]time.Duration, all bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.asked[action] = all
	for a, cost := range came {
		k.came[a] = cost
	}
}

// take reports whether action came as a rider and no get has asked for it yet, and returns
// its build cost.
func (k *kin) take(action protocol.ActionID) (cost time.Duration, ok bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	cost, ok = k.came[action]
	delete(k.came, action)
	return cost, ok
}

package serve

import (
	"cmp"
	"container/heap"
	"slices"
	"strings"
)

// topKeys knows which keys came up most often, with a fixed number of counters: the sketch
// Space-Saving of Metwally, Agrawal and El Abbadi. A key without a counter takes over that of
// the rarest key, with its count, which is then how much the new count may be too high.
type topKeys struct {
	keys []keyCount     // a heap: the rarest one first
	at   map[string]int // where each key stands in keys
}

type keyCount struct {
	key   string
	count int64 // at least as often as it came up
	over  int64 // by how much count may be too high
}

// topCounters is how many keys have a counter. Among them is each key that makes up more than
// one part in topCounters of all.
const topCounters = 1024

// add counts key once. It keeps copies of keys, for they are parts of requests.
func (t *topKeys) add(key string) {
	i, known := t.at[key]
	switch {
	case known:
		t.keys[i].count++
		heap.Fix(t, i)
	case len(t.keys) < topCounters:
		heap.Push(t, keyCount{key: strings.Clone(key), count: 1})
	default:
		rarest := &t.keys[0]
		delete(t.at, rarest.key)
		*rarest = keyCount{strings.Clone(key), rarest.count + 1, rarest.count}
		t.at[rarest.key] = 0
		heap.Fix(t, 0)
	}
}

// missedKey is a key that came up several times.
type missedKey struct {
	Key     string `json:"key"`      // shortened
	AtLeast int64  `json:"at_least"` // how often it certainly came up
}

// repeated returns the counters of keys that certainly came up more than once.
func (t *topKeys) repeated() (keys []keyCount) {
	for _, k := range t.keys {
		if k.count-k.over > 1 {
			keys = append(keys, k)
		}
	}
	return keys
}

// list returns those of the keys that came up most often.
func (t *topKeys) list() []missedKey {
	list := []missedKey{}
	for _, k := range t.repeated() {
		list = append(list, missedKey{shorten(k.key), k.count - k.over})
	}
	slices.SortFunc(list, func(a, b missedKey) int {
		return cmp.Or(cmp.Compare(b.AtLeast, a.AtLeast), cmp.Compare(a.Key, b.Key))
	})
	return list[:min(len(list), listLength)]
}

// Len, Less, Swap, Push and Pop are for package heap.

func (t *topKeys) Len() int           { return len(t.keys) }
func (t *topKeys) Less(i, j int) bool { return t.keys[i].count < t.keys[j].count }

func (t *topKeys) Swap(i, j int) {
	t.keys[i], t.keys[j] = t.keys[j], t.keys[i]
	t.at[t.keys[i].key], t.at[t.keys[j].key] = i, j
}

func (t *topKeys) Push(k any) {
	t.at[k.(keyCount).key] = len(t.keys)
	t.keys = append(t.keys, k.(keyCount))
}

// Pop is never called: no counter is given up.
func (t *topKeys) Pop() any {
	last := t.keys[len(t.keys)-1]
	t.keys = t.keys[:len(t.keys)-1]
	delete(t.at, last.key)
	return last
}

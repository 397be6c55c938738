package tier

import (
	"cmp"
	"slices"
)

// evict makes room if the tier has more than MaxSize bytes: a tenth of that more than is needed,
// so that it need not be done for each object. What is in use or not stored yet stays.
// Whoever makes t.size larger calls it, and who ends the last use of an object.
func (t *Store) evict() {
	t.mu.Lock()
	var gone []*object
	if t.size > t.MaxSize {
		var idle []*object
		for _, o := range t.objects {
			if !o.inUse() && !o.Dirty {
				idle = append(idle, o)
			}
		}
		slices.SortFunc(idle, func(a, b *object) int { return cmp.Compare(a.used.UnixNano(), b.used.UnixNano()) })
		for _, o := range idle {
			if t.size <= t.MaxSize-t.MaxSize/10 {
				break
			}
			delete(t.objects, o.Key)
			t.detach(o)
			gone = append(gone, o)
		}
	}
	t.mu.Unlock()
	for _, o := range gone {
		t.remove(o)
	}
}

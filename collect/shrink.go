package collect

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/dustin/go-humanize"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/cache"
)

// shrink goes on until no more than MaxSize is left. What was used last the longest time ago
// goes first: a manifest with the packs that no other one names, when its profile has
// published last; an entry object when it was written, as nobody knows more. Manifests that
// nobody trusted has signed go before all others.
func (c *collector) shrink(ctx context.Context) error {
	if c.MaxSize == 0 || c.result.BytesLeft <= c.MaxSize {
		return nil
	}
	old, before := c.plan(c.result.BytesLeft - c.MaxSize)
	if err := c.removeManifests(ctx, old); err != nil {
		return err
	}
	if err := c.removePacks(ctx); err != nil {
		return err
	}
	if before > 0 {
		if err := c.removeEntries(ctx, before); err != nil {
			return err
		}
	}
	if over := c.result.BytesLeft - c.MaxSize; over > 0 {
		c.Log.Warn(fmt.Sprintf("%s more than allowed are left: they are younger than a day, or in use", humanize.IBytes(uint64(over))))
	}
	return nil
}

// plan returns what has to go for the remote to become smaller by excess bytes: manifests,
// and the entry objects that were written before a minute.
func (c *collector) plan(excess int64) (old []*manifest, before int64) {
	queue := c.manifestsThat(func(m *manifest) bool {
		return !m.isUnknown() && m.obj.Age() > Grace
	})
	slices.SortFunc(queue, func(a, b *manifest) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), a.obj.Written.Compare(b.obj.Written), cmp.Compare(a.obj.Key, b.obj.Key))
	})
	minutes := c.minutes()
	named, sizes := c.named(), c.packSizes()
	for excess > 0 && len(queue)+len(minutes) > 0 {
		if len(queue) == 0 || len(minutes) > 0 && rank(queue[0]) > 0 && minutes[0] <= minuteOf(queue[0].obj) {
			excess -= c.young[minutes[0]]
			before = minutes[0] + 1
			minutes = minutes[1:]
			continue
		}
		m := queue[0]
		queue = queue[1:]
		old = append(old, m)
		excess -= m.obj.Size
		for ref := range c.packsOf(m) {
			if named[ref]--; named[ref] == 0 {
				excess -= sizes[ref]
			}
		}
	}
	return old, before
}

// rank returns 0 for a manifest that nobody can read, and 1 for all others.
func rank(m *manifest) int {
	if m.unread != nil {
		return 0
	}
	return 1
}

// minutes returns the minutes in which entry objects were written that are no longer young,
// the oldest first.
func (c *collector) minutes() []int64 {
	all := slices.Sorted(maps.Keys(c.young))
	n, _ := slices.BinarySearch(all, c.now.Add(-Grace).Unix()/60)
	return all[:n]
}

// packSizes returns the sizes of the packs that may go, in bytes.
func (c *collector) packSizes() map[packRef]int64 {
	sizes := make(map[packRef]int64)
	for _, s := range c.scopes {
		for _, p := range s.packs {
			if !p.gone && p.obj.Age() > Grace {
				sizes[p.packRef] = p.obj.Size
			}
		}
	}
	return sizes
}

// removeEntries removes the entry objects that were written before the given minute.
func (c *collector) removeEntries(ctx context.Context, before int64) error {
	return c.eachObject(ctx, func(b *batch, obj backend.Object) {
		if k := cache.ParseKey(obj.Key); k.Kind == cache.EntryObject && minuteOf(obj) < before && obj.Age() > Grace {
			b.remove(k, obj)
		}
	})
}

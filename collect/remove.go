package collect

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/cache"
)

// batch removes objects side by side.
type batch struct {
	*collector
	ctx   context.Context // ends with the first fault
	group *errgroup.Group
}

func (c *collector) newBatch(ctx context.Context) *batch {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(sideBySide)
	return &batch{c, ctx, group}
}

// remove removes an object, in the background. It waits if many are under way. If somebody
// writes the object meanwhile, it stays.
func (b *batch) remove(k cache.Key, obj backend.Object) {
	b.Planned(1)
	b.group.Go(func() error {
		defer b.Done()
		gone, err := b.delete(b.ctx, k, obj)
		if gone {
			b.count(k, obj)
		}
		return err
	})
}

// eachObject lists everything, and shows it to visit, which may remove objects.
func (c *collector) eachObject(ctx context.Context, visit func(*batch, backend.Object)) error {
	b := c.newBatch(ctx)
	var err error
	for obj, errList := range c.store.List(b.ctx, "v1/") {
		if errList != nil {
			err = errList
			break
		}
		visit(b, obj)
	}
	return cmp.Or(b.wait(), err) // a fault in the batch ends the list, too
}

// wait waits until all is removed, and returns the first fault.
func (b *batch) wait() error { return b.group.Wait() }

// delete deletes an object, or does nothing in a dry run. It reports whether it is gone.
func (c *collector) delete(ctx context.Context, k cache.Key, obj backend.Object) (gone bool, err error) {
	if c.isDenied(k.Scope) {
		return false, nil
	}
	if c.DryRun {
		return true, nil
	}
	if k.Kind != cache.EntryObject { // these are many, and nothing relies on one
		// A pack that is put again keeps its version on S3, and not every server minds
		// the version.
		if still, err := c.isUnchanged(ctx, obj); err != nil || !still {
			return false, err
		}
	}
	err = c.store.Delete(ctx, obj.Key, obj.Version)
	switch {
	case errors.Is(err, backend.ErrConflict):
		return false, nil
	case errors.Is(err, backend.ErrDenied):
		c.deny(k.Scope, err)
		return false, nil
	}
	return err == nil, err
}

// isUnchanged reports whether nobody has written the object since it was listed.
func (c *collector) isUnchanged(ctx context.Context, obj backend.Object) (bool, error) {
	for now, err := range c.store.List(ctx, obj.Key) {
		if err != nil {
			return false, err
		}
		if now.Key == obj.Key {
			return isSame(now, obj), nil
		}
	}
	return false, nil
}

// isSame reports whether nobody has written an object between two lists.
func isSame(before, now backend.Object) bool {
	return before.Version == now.Version && before.Written.Equal(now.Written)
}

// count counts an object that is gone.
func (c *collector) count(k cache.Key, obj backend.Object) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch k.Kind {
	case cache.EntryObject:
		c.result.Entries++
	case cache.Pack:
		c.result.Packs++
	default:
		c.result.Manifests++
	}
	c.result.Bytes += obj.Size
	c.result.ObjectsLeft--
	c.result.BytesLeft -= obj.Size
}

// deny notes that the store denies access to a scope.
func (c *collector) deny(scope string, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.denied[scope] == nil {
		c.denied[scope] = err
	}
}

func (c *collector) isDenied(scope string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.denied[scope] != nil
}

// removeManifests removes manifests, and then what lies beside them for modules that have
// none any more.
func (c *collector) removeManifests(ctx context.Context, old []*manifest) error {
	b := c.newBatch(ctx)
	for _, m := range old {
		m.gone = true // if it is not, it is read again under its new version
		b.remove(m.key, m.obj)
	}
	if err := b.wait(); err != nil {
		return err
	}
	b = c.newBatch(ctx)
	for name, s := range c.scopes {
		for key, n := range s.notes {
			if c.expired(name, n.obj) && !s.hasManifest(n.key.Module) {
				delete(s.notes, key)
				b.remove(n.key, n.obj)
			}
		}
	}
	return b.wait()
}

// hasManifest reports whether a manifest is left whose name begins as those of a module do.
func (s *scope) hasManifest(module string) bool {
	for _, m := range s.manifests {
		if m.key.Module == module && !m.gone {
			return true
		}
	}
	return false
}

// packsAtOnce is after how many packs manifests are looked for again. It bounds the time in
// which a publication may name a pack that is about to go.
const packsAtOnce = 4 * sideBySide

// removePacks removes the packs that no manifest names.
func (c *collector) removePacks(ctx context.Context) error {
	for some := range slices.Chunk(c.loosePacks(), packsAtOnce) {
		if err := c.readManifests(ctx); err != nil {
			return err
		}
		named := c.named()
		b := c.newBatch(ctx)
		for _, p := range some {
			if named[p.packRef] == 0 {
				p.gone = true // or somebody writes it again, and it is not ours any more
				b.remove(cache.ParseKey(p.obj.Key), p.obj)
			}
		}
		if err := b.wait(); err != nil {
			return err
		}
	}
	return nil
}

// loosePacks returns the packs that no manifest names, unless they are young.
func (c *collector) loosePacks() []*listedPack {
	named := c.named()
	var loose []*listedPack
	for _, s := range c.scopes {
		for _, p := range s.packs {
			if !p.gone && p.obj.Age() > Grace && named[p.packRef] == 0 {
				loose = append(loose, p)
			}
		}
	}
	return loose
}

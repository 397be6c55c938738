package collect

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/cache"
	"github.com/larderbuild/larder/pack"
	"github.com/larderbuild/larder/sign"
)

// manifest is a manifest, or what lies in the place of one.
type manifest struct {
	key  cache.Key
	obj  backend.Object
	gone bool // removed, or about to be

	packs  map[packRef]bool // that it has named in this run, and that were listed
	unread error            // why it can't be read; then it counts as one that names all packs of its scope
}

// readAtOnce is how many manifests are read at the same time. Each may need the memory of
// some MiB, and a hostile one more.
const readAtOnce = 4

// readManifests lists the manifests of all scopes, and reads those that are new since the
// last time.
func (c *collector) readManifests(ctx context.Context) error {
	found := make(chan *manifest)
	listed := make(chan error, 1)
	go func() {
		defer close(found)
		listed <- c.listAll(ctx, found)
	}()
	reads, ctxReads := errgroup.WithContext(ctx)
	reads.SetLimit(readAtOnce)
	for m := range found { // also after a fault: who lists them waits for it
		reads.Go(func() error { return c.read(ctxReads, m) })
	}
	errReads := reads.Wait()
	return cmp.Or(<-listed, errReads)
}

// listAll lists the manifests of all scopes, and sends those that are to be read to found.
func (c *collector) listAll(ctx context.Context, found chan<- *manifest) error {
	lists, ctx := errgroup.WithContext(ctx)
	lists.SetLimit(sideBySide)
	for name, s := range c.scopes {
		lists.Go(func() error { return c.listManifests(ctx, name, s, found) })
	}
	return lists.Wait()
}

// listManifests lists the manifests of a scope, and sends those that are to be read to found.
func (c *collector) listManifests(ctx context.Context, name string, s *scope, found chan<- *manifest) error {
	for obj, err := range c.store.List(ctx, "v1/"+name+"/m/") {
		if errors.Is(err, backend.ErrDenied) {
			c.deny(name, err)
			return nil
		}
		if err != nil {
			return err
		}
		k := cache.ParseKey(obj.Key)
		old := s.manifests[obj.Key]
		switch {
		case k.Kind == cache.Note:
			s.notes[obj.Key] = note{k, obj}
			continue
		case old != nil && isSame(old.obj, obj):
			continue
		}
		m := &manifest{key: k, obj: obj, packs: make(map[packRef]bool)}
		if old != nil {
			m.packs = old.packs // others may still publish what they have read there
		}
		s.manifests[obj.Key] = m
		found <- m
	}
	return nil
}

// isUnknown reports whether m is of a format that this version of larder does not know.
// Such an object is never touched.
func (m *manifest) isUnknown() bool {
	return m.key.Kind == cache.UnknownManifest || errors.Is(m.unread, pack.ErrNewer)
}

// expiredManifests returns the manifests that go by their age.
func (c *collector) expiredManifests() []*manifest {
	return c.manifestsThat(func(m *manifest) bool { return !m.isUnknown() && c.expired(m.key.Scope, m.obj) })
}

// manifestsThat returns the manifests that fulfill a condition and are not gone.
func (c *collector) manifestsThat(fulfill func(*manifest) bool) []*manifest {
	var all []*manifest
	for _, s := range c.scopes {
		for _, m := range s.manifests {
			if !m.gone && fulfill(m) {
				all = append(all, m)
			}
		}
	}
	return all
}

var (
	errOld     = errors.New("an earlier version of larder wrote it")
	errUnknown = errors.New("not of this version of larder")
)

// read reads which packs m names.
func (c *collector) read(ctx context.Context, m *manifest) error {
	switch m.key.Kind {
	case cache.OldManifest:
		m.unread = errOld
		return nil
	case cache.UnknownManifest:
		m.unread = errUnknown
		return nil
	}
	body, _, err := c.store.Get(ctx, m.obj.Key, backend.Range{})
	switch {
	case errors.Is(err, backend.ErrNotFound):
		m.gone, m.obj.Written = true, time.Time{} // if it is listed again, it is read again
		return nil
	case errors.Is(err, backend.ErrDenied):
		c.deny(m.key.Scope, err)
		m.unread = err
		return nil
	case err != nil:
		return err
	}
	defer body.Close()
	decoded, _, err := pack.Read(body, pack.Place{Scope: m.key.Scope, Name: m.key.Name}, c.Trust)
	if errors.Is(err, pack.ErrCorrupt) || errors.Is(err, sign.ErrUntrusted) {
		m.unread = err
		return nil
	}
	if err != nil {
		return err
	}
	for _, p := range decoded.Packs {
		if s := c.scopes[p.Scope]; s != nil && s.packs[p.ID] != nil { // a hostile one may name any number of others
			m.packs[packRef{p.Scope, p.ID}] = true
		}
	}
	return nil
}

// named returns how many manifests name each pack.
func (c *collector) named() map[packRef]int {
	named := make(map[packRef]int)
	for _, m := range c.manifestsThat(func(*manifest) bool { return true }) {
		for ref := range c.packsOf(m) {
			named[ref]++
		}
	}
	return named
}

// packsOf returns the packs that m keeps from being removed.
func (c *collector) packsOf(m *manifest) iter.Seq[packRef] {
	if m.unread == nil {
		return maps.Keys(m.packs)
	}
	return func(yield func(packRef) bool) {
		for _, p := range c.scopes[m.key.Scope].packs {
			if !yield(p.packRef) {
				return
			}
		}
	}
}

// tellUnread says which manifests can't be read.
func (c *collector) tellUnread() {
	unread := c.manifestsThat(func(m *manifest) bool { return m.unread != nil && !c.isDenied(m.key.Scope) })
	if len(unread) == 0 {
		return
	}
	c.Log.Warn(fmt.Sprintf("%d manifests can't be read, so no pack of their scopes goes", len(unread)),
		"key", unread[0].obj.Key, "err", unread[0].unread)
}

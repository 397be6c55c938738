package cache

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/localdisk"
	"github.com/larderbuild/larder/pack"
	"github.com/larderbuild/larder/protocol"
)

// isLazy reports whether the session is, or was, lazy.
func (c *Cache) isLazy() bool { return c.promised != nil && c.promised.lazy != nil }

// gaveLazily reports whether archives were given out before their bytes were here.
func (c *Cache) gaveLazily() bool {
	return c.isLazy() && c.promised.lazy.any()
}

// errDamaged says that the local tier has a body that is not what its entry says.
var errDamaged = errors.New("the body is damaged")

// checkBody returns an error if the go command may refuse the body at path, which the
// local tier has for e. The go command builds what it refuses without another get, so no
// miss would pass the barrier. Of an archive it reads only the head. Of all else it may
// check the SHA-256.
func checkBody(e localdisk.Entry, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	begin := make([]byte, min(e.Size, pack.MaxHead))
	if _, err := io.ReadFull(f, begin); err != nil {
		return err
	}
	if pack.Head(begin) != nil {
		return nil
	}
	hash := sha256.New()
	_, _ = hash.Write(begin)
	if _, err := io.Copy(hash, f); err != nil {
		return err
	}
	if protocol.OutputID(hash.Sum(nil)) != e.Output {
		return errDamaged
	}
	return nil
}

// passBarrier returns once a miss may be answered. A compiler, a linker or vet may
// follow a miss, and read the archives that were given out before; passBarrier makes
// these whole first. If it can't, no answer would be right, and it has the go command
// end.
func (c *Cache) passBarrier(ctx context.Context) {
	if !c.gaveLazily() {
		return
	}
	lazy := c.promised.lazy
	given := lazy.becomeEager()
	lazy.filling.Do(func() { lazy.err = c.fill(ctx, given) })
	switch err := lazy.err; {
	case err == nil:
		c.lookups.passed()
	case ctx.Err() == nil:
		c.lookups.complaints.abandoned.Store(true)
		lazy.abandoning.Do(func() { lazy.Abandon(err) })
		<-ctx.Done()
	}
}

// fill makes the lazy files of given whole: first with what the prefetch brings, then
// with what can be fetched after all, at last with what the go command builds again.
func (c *Cache) fill(ctx context.Context, given []*pack.Entry) error {
	// The prefetch fetches several at once; here each only waits for it.
	for _, e := range given {
		c.promised.demand(c.promised.index[e.Action])
	}
	lacking, _ := c.fillEach(given, 1, func(e *pack.Entry) error {
		return c.lookups.ask(ctx, entryKey(c.lookups.scope, e.Action), func(ctx context.Context) (saved time.Duration, err error) {
			return e.Cost, c.promised.wait(ctx, e)
		})
	})
	failed := c.retrievePacked(ctx, lacking...)
	lacking, err := c.fillEach(lacking, streams, func(e *pack.Entry) error {
		err := failed[e]
		if err != nil && !isLoss(err) { // a fault in the middle of a chunk
			err = c.retrievePacked(ctx, e)[e]
		}
		if err == nil || c.retrieveAnyObject(ctx, e) {
			return nil
		}
		return err
	})
	if err == nil || ctx.Err() != nil {
		return err
	}
	c.lookups.warn(fmt.Sprintf("%d archives that this build relies on can't be fetched, and are built again: %v", len(lacking), err))
	if err := c.promised.lazy.Rebuild(ctx); err != nil {
		c.Log.Info("build again", "err", err) // what counts is what came of it
	}
	_, err = c.fillEach(lacking, 1, func(*pack.Entry) error { return nil })
	return err
}

// fillEach fills the lazy files of entries, at most limit at once, with the bodies
// that bring brings to the local tier. It returns the entries whose files it could
// not fill, and the reason for the first of them.
func (c *Cache) fillEach(entries []*pack.Entry, limit int, bring func(*pack.Entry) error) (lacking []*pack.Entry, first error) {
	errs := make([]error, len(entries))
	var group errgroup.Group
	group.SetLimit(limit)
	for i, e := range entries {
		group.Go(func() error {
			if errs[i] = bring(e); errs[i] == nil {
				errs[i] = c.promised.lazy.fill(e, c.Local)
			}
			return nil
		})
	}
	_ = group.Wait() // each has its own error
	for i, e := range entries {
		if errs[i] != nil {
			c.Log.Debug("fill a lazy file", "action", e.Action, "err", errs[i])
			first = cmp.Or(first, errs[i])
			lacking = append(lacking, e)
		}
	}
	return lacking, first
}

// retrievePacked brings the bodies of entries, which lie in packs, to the local tier. It returns
// an error for each that it could not bring.
func (c *Cache) retrievePacked(ctx context.Context, entries ...*pack.Entry) map[*pack.Entry]error {
	p := c.promised
	wanted := make([]int, len(entries))
	for i, e := range entries {
		wanted[i] = p.index[e.Action]
	}
	chunks := p.merged.Chunks(wanted)
	errs := make([][]error, len(chunks))
	var group errgroup.Group
	group.SetLimit(streams)
	for n, chunk := range chunks {
		group.Go(func() error {
			errs[n] = c.retrieveChunk(ctx, chunk)
			return nil
		})
	}
	_ = group.Wait() // each entry has its own error
	failed := make(map[*pack.Entry]error)
	for n, chunk := range chunks {
		for j, i := range chunk.Entries {
			if errs[n][j] != nil {
				failed[&p.merged.Entries[i]] = errs[n][j]
			}
		}
	}
	return failed
}

// retrieveChunk brings the bodies of the entries of chunk to the local tier, by one request. It
// returns an error, or nil, for each of them.
func (c *Cache) retrieveChunk(ctx context.Context, chunk pack.Chunk) []error {
	p := c.promised
	from := p.merged.Packs[chunk.Pack]
	key := packKey(from)
	errs := make([]error, len(chunk.Entries))
	_ = c.lookups.ask(ctx, key, func(ctx context.Context) (saved time.Duration, err error) {
		objects, err := p.remote.openChunk(ctx, from, chunk)
		if err != nil {
			for j := range errs {
				errs[j] = err
			}
			return 0, err
		}
		defer objects.Close()
		for j, i := range chunk.Entries {
			e := &p.merged.Entries[i]
			_, errs[j] = p.unpack(e, objects.Reader) // whether it is new does not matter here
			switch {
			case errs[j] == nil:
				saved += e.Cost
			case objects.Err() == nil:
				c.lookups.explain(ctx, key, errs[j])
			}
		}
		return saved, objects.Err()
	})
	return errs
}

// retrieveAnyObject brings the body of e to the local tier, out of its entry object in one of
// the scopes. It reports whether it could.
func (c *Cache) retrieveAnyObject(ctx context.Context, e *pack.Entry) bool {
	return !c.PacksOnly && slices.ContainsFunc(c.lookups.read, func(scope string) bool {
		return c.retrieveObject(ctx, e, scope) == nil
	})
}

// retrieveObject brings the body of e to the local tier, out of its entry object in scope.
func (c *Cache) retrieveObject(ctx context.Context, e *pack.Entry, scope string) error {
	key := entryKey(scope, e.Action)
	return c.lookups.ask(ctx, key, func(ctx context.Context) (saved time.Duration, err error) {
		object, _, err := c.lookups.store.Get(ctx, key, backend.Range{})
		if err != nil {
			return 0, err
		}
		defer object.Close()
		body, err := openPromised(object, e, c.lookups.want(scope, e.Action))
		if err == errReferral {
			err = backend.ErrNotFound // what it refers to is what can't be had
		}
		if err != nil {
			return 0, err
		}
		defer body.Close()
		_, _, err = c.lookups.install(localEntry(e), body) // the entry is for the next manifest
		return e.Cost, err
	})
}

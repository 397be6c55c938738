package cache

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/entry"
	"github.com/larderbuild/larder/localdisk"
	"github.com/larderbuild/larder/pack"
	"github.com/larderbuild/larder/protocol"
)

// remote is the remote tier: the layout of keys in a store, and what is said
// about it on stderr.
type remote struct {
	store backend.Store
	scope string
	log   *slog.Logger

	complained atomic.Bool
}

// key returns the key of an object below the scope.
func (r *remote) key(name string) string { return "v1/" + r.scope + "/" + name }

// entryKey returns the key of action's entry object.
func (r *remote) entryKey(action protocol.ActionID) string {
	id := action.String()
	return r.key("a/" + id[:2] + "/" + id)
}

// packKey returns the key of a pack, which may be of another scope.
func packKey(p pack.Pack) string {
	id := hex.EncodeToString(p.ID[:])
	return "v1/" + p.Scope + "/p/" + id[:2] + "/" + id
}

// complain reports a fault of the remote that was met at key.
func (r *remote) complain(op, key string, err error) {
	r.warn(fmt.Sprintf("%s: %v; the build goes on without what the remote can't give or take", op, err), "key", key)
}

// warn reports what is wrong with the remote: the first time as a warning, as
// one line is enough for a tired engineer, later for those who look for it.
func (r *remote) warn(msg string, args ...any) {
	level := slog.LevelInfo
	if r.complained.CompareAndSwap(false, true) {
		level = slog.LevelWarn
	}
	r.log.Log(context.Background(), level, msg, args...)
}

// fetch brings action's entry from the remote into the local tier and returns
// it with what it cost to build. The error wraps backend.ErrNotFound if the
// remote does not have it, entry.ErrCorrupt or localdisk.ErrContent if what it
// has is not what it should be.
func (r *remote) fetch(ctx context.Context, local *localdisk.Dir, action protocol.ActionID, limit int64) (protocol.Entry, time.Duration, error) {
	object, _, err := r.store.Get(ctx, r.entryKey(action), backend.Range{})
	if err != nil {
		return protocol.Entry{}, 0, err
	}
	defer object.Close()
	body, err := entry.Open(object, action, limit)
	if err != nil {
		return protocol.Entry{}, 0, err
	}
	defer body.Close()

	h := body.Header
	path, err := local.Put(localdisk.Entry{Action: action, Output: h.Output, Size: h.BodySize, Time: h.Time}, body)
	if err != nil {
		return protocol.Entry{}, 0, err
	}
	return protocol.Entry{OutputID: h.Output, Size: h.BodySize, Time: h.Time, DiskPath: path}, h.Cost, nil
}

// corrupt reports whether err says that the remote's object is not what it
// should be, rather than that it could not be had.
func corrupt(err error) bool {
	return errors.Is(err, entry.ErrCorrupt) || errors.Is(err, localdisk.ErrContent)
}

// has reports whether the remote has an entry object for action.
func (r *remote) has(ctx context.Context, action protocol.ActionID) bool {
	object, _, err := r.store.Get(ctx, r.entryKey(action), backend.Range{Length: entry.HeaderSize})
	if err != nil {
		return false
	}
	object.Close()
	return true
}

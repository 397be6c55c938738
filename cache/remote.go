package cache

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/entry"
	"github.com/larderbuild/larder/localdisk"
	"github.com/larderbuild/larder/pack"
	"github.com/larderbuild/larder/protocol"
	"github.com/larderbuild/larder/secrets"
	"github.com/larderbuild/larder/sign"
)

// remote is the remote tier: the layout of keys in a store, whom it believes, and
// what is said about it on stderr.
type remote struct {
	Policy
	store backend.Store
	scope string   // that is written
	read  []string // scopes that are read, in this order
	log   *slog.Logger

	complained atomic.Bool
}

// Policy says what leaves this machine, and what is let in.
type Policy struct {
	Key     *sign.Key       // signs what is written; nil: nothing does
	Trust   *sign.Trust     // in who signed what is read; nil: in everybody
	Secrets *secrets.Filter // finds what is not written; nil: by its shape alone
}

func newRemote(store backend.Store, t Target, p Policy, log *slog.Logger) *remote {
	return &remote{Policy: p, store: store, scope: t.Scope, read: t.reads(), log: log}
}

// signer signs what is written.
func (r *remote) signer() entry.Signer { return entry.Signer{Key: r.Key, Scope: r.scope} }

// key returns the key of an object below a scope.
func key(scope, name string) string { return "v1/" + scope + "/" + name }

// entryKey returns the key of action's entry object in a scope.
func entryKey(scope string, action protocol.ActionID) string {
	id := action.String()
	return key(scope, "a/"+id[:2]+"/"+id)
}

// packKey returns the key of a pack, which may be of another scope.
func packKey(p pack.Pack) string {
	id := hex.EncodeToString(p.ID[:])
	return key(p.Scope, "p/"+id[:2]+"/"+id)
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

// fetch brings action's entry into the local tier, from the first of the scopes
// that has a good one, and returns it with what it cost to build. All scopes are
// asked at once. explain is told of what can't be had or is no good; then, as where
// nothing was found, the error wraps backend.ErrNotFound.
func (r *remote) fetch(ctx context.Context, local *localdisk.Dir, w entry.Want, explain func(key string, err error)) (found protocol.Entry, cost time.Duration, err error) {
	ctx, cancel := context.WithCancel(ctx)
	answers := make([]chan answer, len(r.read))
	for i, scope := range r.read {
		answers[i] = make(chan answer, 1)
		go func() {
			object, _, err := r.store.Get(ctx, entryKey(scope, w.Action), backend.Range{})
			answers[i] <- answer{object, err}
		}()
	}
	next := 0
	defer func() {
		cancel()
		for _, unused := range answers[next:] {
			(<-unused).close()
		}
	}()
	for ; next < len(answers); next++ {
		w.Scope = r.read[next]
		a := <-answers[next]
		found, cost, err = a.install(local, w)
		a.close()
		if err == nil {
			next++
			return found, cost, nil
		}
		if !errors.Is(err, backend.ErrNotFound) {
			explain(entryKey(w.Scope, w.Action), err)
		}
	}
	return found, 0, fmt.Errorf("get %s: %w", w.Action, backend.ErrNotFound)
}

// answer is what one scope says of an action.
type answer struct {
	object io.ReadCloser
	err    error
}

func (a answer) close() {
	if a.err == nil {
		a.object.Close()
	}
}

// install puts the entry in a's object, if it is what w wants, into the local tier.
func (a answer) install(local *localdisk.Dir, w entry.Want) (protocol.Entry, time.Duration, error) {
	if a.err != nil {
		return protocol.Entry{}, 0, a.err
	}
	body, err := entry.Open(a.object, w)
	if err != nil {
		return protocol.Entry{}, 0, err
	}
	defer body.Close()

	h := body.Header
	path, err := local.Put(localdisk.Entry{Action: h.Action, Output: h.Output, Size: h.BodySize, Time: h.Time}, body)
	if err != nil {
		return protocol.Entry{}, 0, err
	}
	return protocol.Entry{OutputID: h.Output, Size: h.BodySize, Time: h.Time, DiskPath: path}, h.Cost, nil
}

// refused reports whether err says that the remote's object is not what it should
// be, or not from whom it should be, rather than that it could not be had.
func refused(err error) bool { return corrupt(err) || errors.Is(err, sign.ErrUntrusted) }

func corrupt(err error) bool {
	return errors.Is(err, entry.ErrCorrupt) || errors.Is(err, pack.ErrCorrupt) || errors.Is(err, localdisk.ErrContent)
}

// has reports whether the remote has an entry object as w wants it.
func (r *remote) has(ctx context.Context, w entry.Want) bool {
	return slices.ContainsFunc(r.read, func(scope string) bool {
		object, _, err := r.store.Get(ctx, entryKey(scope, w.Action), backend.Range{Length: entry.HeaderSize})
		if err != nil {
			return false
		}
		defer object.Close()
		w.Scope = scope
		_, err = entry.ReadHeader(object, w)
		return err == nil
	})
}

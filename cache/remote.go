package cache

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/entry"
	"github.com/larderbuild/larder/localdisk"
	"github.com/larderbuild/larder/pack"
	"github.com/larderbuild/larder/protocol"
	"github.com/larderbuild/larder/session"
	"github.com/larderbuild/larder/sign"
)

// remote is the remote tier: a store, its scopes, and what is said about it on
// stderr.
type remote struct {
	Config
	store backend.Store
	name  string   // for people
	scope string   // the scope that is written
	read  []string // the scopes that are read, in this order

	memory     session.Memory // of the store
	writing    session.Memory // of the scope that is written
	reach      *reach         // nil: the process always asks the remote, and is no session
	complaints complaints
}

func newRemote(cfg Config, store backend.Store, t session.Target) *remote {
	name, _, _ := strings.Cut(t.Remote, "?")
	return &remote{
		Config: cfg, store: store, name: name, scope: t.Scope, read: t.Reads(),
		memory:  session.NewMemory(cfg.Local.Path(), t.Remote),
		writing: session.NewScopeMemory(cfg.Local.Path(), t),
	}
}

// signer signs what is written.
func (r *remote) signer() entry.Signer { return entry.Signer{Key: r.Policy.Key, Scope: r.scope} }

// want returns what an entry object of action in scope must be.
func (r *remote) want(scope string, action protocol.ActionID) entry.Want {
	return entry.Want{Action: action, Scope: scope, MaxSize: r.MaxObject, Trust: r.Policy.Trust}
}

// fetched is an entry that was brought from the remote, and what it cost to build.
type fetched struct {
	protocol.Entry
	cost time.Duration
}

// fetch brings action's entry into the local tier, from the first of the scopes
// that has a good one. It asks all scopes at once, and tells explain of each object that it
// could not get, or that is no good, but not of one that does not exist. If no scope has a
// good one the error wraps backend.ErrNotFound.
func (r *remote) fetch(ctx context.Context, action protocol.ActionID, explain func(key string, err error)) (fetched, error) {
	ctx, cancel := context.WithCancel(ctx)
	answers := make([]chan scopeAnswer, len(r.read))
	for i, scope := range r.read {
		answers[i] = make(chan scopeAnswer, 1)
		go func() {
			object, _, err := r.store.Get(ctx, entryKey(scope, action), backend.Range{})
			answers[i] <- scopeAnswer{object, err}
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
		scope := r.read[next]
		a := <-answers[next]
		found, err := r.unpack(a, r.want(scope, action))
		a.close()
		if err == nil {
			next++
			return found, nil
		}
		if !errors.Is(err, backend.ErrNotFound) {
			explain(entryKey(scope, action), err)
		}
	}
	return fetched{}, fmt.Errorf("get %s: %w", action, backend.ErrNotFound)
}

// scopeAnswer is what one scope says when it is asked for an action.
type scopeAnswer struct {
	object io.ReadCloser
	err    error
}

func (a scopeAnswer) close() {
	if a.err == nil {
		a.object.Close()
	}
}

// unpack installs the entry in a's object, if it is what w wants. If another process has
// put the action meanwhile, the local tier keeps that.
func (r *remote) unpack(a scopeAnswer, w entry.Want) (fetched, error) {
	if a.err != nil {
		return fetched{}, a.err
	}
	body, err := entry.Open(a.object, w)
	if err != nil {
		return fetched{}, err
	}
	defer body.Close()

	h := body.Header
	e := localdisk.Entry{Action: h.Action, Output: h.Output, Size: h.BodySize, Time: h.Time}
	path, _, err := r.install(e, body)
	if err != nil {
		return fetched{}, err
	}
	return fetched{located(e, path), h.Cost}, nil
}

// install puts e, which came from the remote, into the local tier, unless that has one of
// the action. The error is errHomebound if body is a homebound index.
func (r *remote) install(e localdisk.Entry, body io.Reader) (path string, isNew bool, err error) {
	if body, err = refuseHomebound(e.Action, body); err != nil {
		return "", false, err
	}
	return r.Local.PutNew(e, body)
}

// has reports whether a scope that is read has a good entry object of action, as
// far as its header tells.
func (r *remote) has(ctx context.Context, action protocol.ActionID) bool {
	return slices.ContainsFunc(r.read, func(scope string) bool {
		object, _, err := r.store.Get(ctx, entryKey(scope, action), backend.Range{Length: entry.HeaderSize})
		if err != nil {
			return false
		}
		defer object.Close()
		_, err = entry.ReadHeader(object, r.want(scope, action))
		return err == nil
	})
}

// refused reports whether err says that an object of the remote is not what it
// should be, or is signed by nobody who is trusted. Other errors say that the object
// could not be had.
func refused(err error) bool { return corrupt(err) || errors.Is(err, sign.ErrUntrusted) }

// corrupt reports whether err says that an object is not what it should be.
func corrupt(err error) bool {
	return errors.Is(err, entry.ErrCorrupt) || errors.Is(err, pack.ErrCorrupt) || errors.Is(err, localdisk.ErrContent)
}

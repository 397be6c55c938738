package cache

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
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
	referred   *referred      // nil: the process looks nothing up
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
	cost   time.Duration
	riders map[protocol.ActionID]time.Duration // what came with it, with the costs

	// More riders may lie in the object of a scope that is read after the entry's.
	more bool
}

// fetch brings action's entry into the local tier, and those that ride in its object. If no
// scope has a good object the error wraps backend.ErrNotFound.
func (r *remote) fetch(ctx context.Context, action protocol.ActionID, explain func(key string, err error)) (found fetched, err error) {
	err = r.askScopes(ctx, action, backend.Range{}, explain, func(object io.ReadCloser, scope string) error {
		found, err = r.unpack(ctx, object, r.want(scope, action))
		found.more = len(found.riders) > 0 && scope != r.read[len(r.read)-1]
		return err
	})
	return found, err
}

// frontLength is how many bytes of an entry object are asked for if only its riders are
// wanted. Few objects have more before their payload.
const frontLength = 8 << 10

// fetchRiders brings those to the local tier that ride in parent's objects, in all scopes. It
// returns who came, with the costs.
func (r *remote) fetchRiders(ctx context.Context, parent protocol.ActionID, explain func(key string, err error)) (came map[protocol.ActionID]time.Duration) {
	came = make(map[protocol.ActionID]time.Duration)
	_ = r.askScopes(ctx, parent, backend.Range{Length: frontLength}, explain, func(object io.ReadCloser, scope string) error {
		riders, err := r.readRiders(ctx, object, scope, parent)
		if err != nil {
			return err
		}
		maps.Copy(came, r.installRiders(parent, riders))
		return backend.ErrNotFound // go on with the next scope
	})
	return came
}

// readRiders reads the riders of parent's object in scope, of which front has the first
// frontLength bytes. If that is too little it asks for more.
func (r *remote) readRiders(ctx context.Context, front io.Reader, scope string, parent protocol.ActionID) ([]entry.Rider, error) {
	want := r.want(scope, parent)
	want.MaxSize = math.MaxInt64 // the body stays where it is
	h, riders, err := entry.ReadFront(io.LimitReader(front, frontLength), want)
	if err == nil || h.FrontSize() <= frontLength {
		return riders, err
	}
	object, _, err := r.store.Get(ctx, entryKey(scope, parent), backend.Range{Length: h.FrontSize()})
	if err != nil {
		return nil, err
	}
	defer object.Close()
	_, riders, err = entry.ReadFront(object, want)
	return riders, err
}

// askScopes asks all scopes at once for a part of action's entry object. It calls use with
// what they answer, in the order in which they are read, until use returns nil. It tells
// explain of each object that could not be had, or that is no good, but not of one that
// does not exist. use may close the object. If use never returns nil the error wraps backend.ErrNotFound.
func (r *remote) askScopes(ctx context.Context, action protocol.ActionID, part backend.Range, explain func(key string, err error), use func(object io.ReadCloser, scope string) error) error {
	ctx, cancel := context.WithCancel(ctx)
	answers := make([]chan scopeAnswer, len(r.read))
	for i, scope := range r.read {
		answers[i] = make(chan scopeAnswer, 1)
		go func() {
			object, _, err := r.store.Get(ctx, entryKey(scope, action), part)
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
		err := a.err
		if err == nil {
			err = use(a.object, scope)
		}
		a.close()
		if err == nil {
			next++
			return nil
		}
		if !errors.Is(err, backend.ErrNotFound) {
			explain(entryKey(scope, action), err)
		}
	}
	return fmt.Errorf("get %s: %w", action, backend.ErrNotFound)
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

// unpack installs the entries in object, if it is what w wants: the riders only if the body
// is good, too. If object is a referral, the body comes from where that says. If another
// process has put an action meanwhile, the local tier keeps that.
func (r *remote) unpack(ctx context.Context, object io.ReadCloser, w entry.Want) (fetched, error) {
	body, err := entry.Open(object, w)
	if err != nil {
		return fetched{}, err
	}
	defer body.Close()

	h := body.Header
	if body.Reference != "" {
		object.Close() // its slot may be the one that the next requests wait for
		return r.follow(ctx, body, w.Scope)
	}
	e := localdisk.Entry{Action: h.Action, Output: h.Output, Size: h.BodySize, Time: h.Time}
	path, _, err := r.install(e, body)
	if err != nil {
		return fetched{}, err
	}
	return fetched{Entry: located(e, path), cost: h.Cost, riders: r.installRiders(h.Action, body.Riders)}, nil
}

// locate returns action's entry, which the local tier has by now, as the go command is told it.
func (r *remote) locate(action protocol.ActionID) (protocol.Entry, error) {
	e, path, err := r.Local.Get(action)
	return located(e, path), err
}

// follow installs the entry to which a referral of scope refers, and then its riders.
func (r *remote) follow(ctx context.Context, referral *entry.Reader, scope string) (fetched, error) {
	action := referral.Header.Action
	named, err := r.referred.bring(ctx, action, scope, referral.Reference)
	if err != nil {
		return fetched{}, err
	}
	e, err := r.locate(action)
	return fetched{Entry: e, cost: named.Cost, riders: r.installRiders(action, referral.Riders)}, err
}

// installRiders puts those that ride in parent's object into the local tier, unless that has
// one of the same action. It returns those that are new there, with their costs. What it
// leaves out is looked up if a get asks for it.
func (r *remote) installRiders(parent protocol.ActionID, riders []entry.Rider) (came map[protocol.ActionID]time.Duration) {
	came = make(map[protocol.ActionID]time.Duration, len(riders))
	for _, rider := range riders {
		size := int64(len(rider.Body))
		if size > r.MaxObject {
			continue
		}
		e := localdisk.Entry{Action: rider.Action(parent), Output: rider.Output(), Size: size, Time: rider.Time}
		switch _, isNew, err := r.install(e, bytes.NewReader(rider.Body)); {
		case err != nil:
			r.Log.Info("install what rides in an entry object", "action", e.Action, "err", err)
		case isNew:
			came[e.Action] = rider.Cost
		}
	}
	return came
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
// far as its header tells. Of a referral that tells nothing, so has follows it.
func (r *remote) has(ctx context.Context, action protocol.ActionID) bool {
	return slices.ContainsFunc(r.read, func(scope string) bool {
		h, err := r.readHeader(ctx, scope, action)
		if err == nil && h.Codec == entry.Reference {
			_, err = r.fetch(ctx, action, func(string, error) {})
		}
		return err == nil
	})
}

// readHeader reads the header of action's entry object in scope.
func (r *remote) readHeader(ctx context.Context, scope string, action protocol.ActionID) (entry.Header, error) {
	object, _, err := r.store.Get(ctx, entryKey(scope, action), backend.Range{Length: entry.MaxHeaderSize})
	if err != nil {
		return entry.Header{}, err
	}
	defer object.Close()
	return entry.ReadHeader(object, r.want(scope, action))
}

// refused reports whether err says that an object of the remote is not what it
// should be, or is signed by nobody who is trusted. Other errors say that the object
// could not be had.
func refused(err error) bool { return corrupt(err) || errors.Is(err, sign.ErrUntrusted) }

// corrupt reports whether err says that an object is not what it should be.
func corrupt(err error) bool {
	return errors.Is(err, entry.ErrCorrupt) || errors.Is(err, pack.ErrCorrupt) || errors.Is(err, localdisk.ErrContent)
}

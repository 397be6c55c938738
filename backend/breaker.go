package backend

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sony/gobreaker/v2"
)

// ErrUnavailable says that a request was not sent, because earlier requests
// failed.
var ErrUnavailable = errors.New("store unavailable")

// Breaker says when [WithBreaker] stops asking a store.
type Breaker struct {
	// Faults and Window say when a circuit opens: after that many faults in a row, if
	// the first of them was that long ago. So a store that stumbles for a moment is
	// not given up, however many requests meet the stumble. ErrDenied opens the
	// circuit at once, because the next request would be denied, too.
	Faults int
	Window time.Duration

	// Cooldown is how long an open circuit refuses all requests. Then it lets one
	// request through. If that succeeds, the circuit closes again.
	Cooldown time.Duration
}

// WithBreaker returns a store that sends s no requests while s is broken: they fail at
// once, with ErrUnavailable. Reading and writing have a circuit each, because
// credentials that allow only reading are common.
//
// A fault is an error that is neither an answer, such as ErrNotFound or ErrConflict, nor
// the end of the caller's context. That one object is written too often says nothing
// about the store. The result of a Get is known, and counted, when its body is closed.
func WithBreaker(s Store, b Breaker) Store {
	answered := new(atomic.Bool)
	return &guarded{s, newCircuit(b, answered), newCircuit(b, answered)}
}

type guarded struct {
	Store
	reads, writes *circuit
}

// circuit is a circuit breaker that counts faults by time, and that ErrDenied opens at
// once.
type circuit struct {
	Breaker
	breaker  *gobreaker.TwoStepCircuitBreaker[struct{}]
	answered *atomic.Bool // the store has answered a request, of either circuit

	mu        sync.Mutex // guards what follows; held while a result is reported
	succeeded time.Time  // when the last request succeeded
	since     time.Time  // when the faults in a row began; zero: the last request succeeded
	opened    time.Time  // when the circuit opened last
	denied    bool       // the result that was reported last is ErrDenied
	denial    error      // the last one of this kind
	shut      bool       // ErrDenied has opened the circuit
}

// errGone stands for each result that says nothing about the store, because the
// caller gave up, or because only one object is concerned.
var errGone = errors.New("says nothing about the store")

func newCircuit(b Breaker, answered *atomic.Bool) *circuit {
	c := &circuit{Breaker: b, answered: answered}
	c.breaker = gobreaker.NewTwoStepCircuitBreaker[struct{}](gobreaker.Settings{
		Timeout: b.Cooldown,
		ReadyToTrip: func(counts gobreaker.Counts) bool {
			return c.denied || counts.ConsecutiveFailures >= uint32(b.Faults) && time.Since(c.since) >= b.Window
		},
		IsSuccessful: isAnswer,
		IsExcluded:   func(err error) bool { return err == errGone },
		OnStateChange: func(_ string, _, to gobreaker.State) {
			if to == gobreaker.StateOpen { // in the middle of a report
				c.opened, c.shut = time.Now(), c.denied
			}
		},
	})
	return c
}

// allow returns an error if the request must not be sent. Otherwise the caller calls
// report once, with the request's context and result, and returns what report returns: the
// same result, which is ErrUnavailable as well if it leaves the circuit open.
func (c *circuit) allow(op, key string) (report func(context.Context, error) error, err error) {
	done, err := c.breaker.Allow()
	if err != nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		return nil, &OpError{op, key, c.refusal()}
	}
	begun := time.Now()
	return func(ctx context.Context, err error) error {
		c.mu.Lock()
		defer c.mu.Unlock()
		done(c.judge(ctx, begun, err))
		if isFault(ctx, err) && c.breaker.State() == gobreaker.StateOpen {
			return fmt.Errorf("%w: %w", c.unavailable(), err)
		}
		return err
	}, nil
}

// judge returns what the result err of a request that began at begun says about the
// store, and keeps count. The caller holds c.mu.
func (c *circuit) judge(ctx context.Context, begun time.Time, err error) error {
	var busy *Busy
	switch {
	case isAnswer(err):
		c.answered.Store(true)
		c.succeeded, c.since = time.Now(), time.Time{}
	case errors.As(err, &busy) && busy.Object, !isFault(ctx, err):
		return errGone
	default:
		if !errors.Is(err, ErrTimeout) { // that is a fault from its beginning on
			begun = time.Now()
		}
		if begun.Before(c.succeeded) {
			begun = c.succeeded
		}
		if c.since.IsZero() || begun.Before(c.since) {
			c.since = begun
		}
	}
	if c.denied = errors.Is(err, ErrDenied); c.denied {
		c.denial = err
	}
	return err
}

// unavailable is ErrUnavailable, for WithRetry.
type unavailable struct {
	since time.Time // when the store began to fail
	until time.Time // when the circuit lets a request through
	final bool      // it makes no sense to wait for that
}

func (u *unavailable) Error() string { return ErrUnavailable.Error() }
func (u *unavailable) Unwrap() error { return ErrUnavailable }

// unavailable returns the error of an open circuit. A store that denies access, or that
// has not answered yet, is not worth waiting for. The caller holds c.mu.
func (c *circuit) unavailable() error {
	since := c.since
	if since.IsZero() { // a request that began before has succeeded
		since = c.opened
	}
	return &unavailable{since, c.opened.Add(c.Cooldown), c.shut || !c.answered.Load()}
}

// refusal is unavailable for a request that is not sent. If access was denied, its text says
// why: that request may be the first one of which a person hears. The caller holds c.mu.
func (c *circuit) refusal() error {
	err := c.unavailable()
	if !c.shut {
		return err
	}
	why := c.denial
	var at *OpError
	if errors.As(why, &at) {
		why = at.Err
	}
	return Brief(err.Error()+": "+why.Error(), err)
}

func (s *guarded) Get(ctx context.Context, key string, r Range) (io.ReadCloser, Object, error) {
	report, err := s.reads.allow("get", key)
	if err != nil {
		return nil, Object{}, err
	}
	body, obj, err := s.Store.Get(ctx, key, r)
	if err != nil {
		return nil, Object{}, report(ctx, err)
	}
	s.reads.answered.Store(true)
	return observe(body, func(_ int64, err error) { _ = report(ctx, err) }), obj, nil
}

func (s *guarded) Put(ctx context.Context, key string, body io.ReadSeeker, opts PutOptions) (Object, error) {
	report, err := s.writes.allow("put", key)
	if err != nil {
		return Object{}, err
	}
	obj, err := s.Store.Put(ctx, key, body, opts)
	return obj, report(ctx, err)
}

func (s *guarded) Delete(ctx context.Context, key, version string) error {
	report, err := s.writes.allow("delete", key)
	if err != nil {
		return err
	}
	return report(ctx, s.Store.Delete(ctx, key, version))
}

func (s *guarded) List(ctx context.Context, prefix string) iter.Seq2[Object, error] {
	return func(yield func(Object, error) bool) {
		report, err := s.reads.allow("list", prefix)
		if err != nil {
			yield(Object{}, err)
			return
		}
		var last error
		defer func() { _ = report(ctx, last) }()
		for obj, err := range s.Store.List(ctx, prefix) {
			last = err
			if !yield(obj, err) {
				return
			}
		}
	}
}

package backend

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"sync"
	"time"

	"github.com/sony/gobreaker/v2"
)

// ErrUnavailable says that a request was not sent, because earlier requests
// failed.
var ErrUnavailable = errors.New("store unavailable")

// Breaker says when [WithBreaker] stops asking a store.
type Breaker struct {
	// Faults is how many faults in a row open the circuit. ErrDenied opens it at
	// once, because the next request would be denied, too.
	Faults int

	// Cooldown is how long an open circuit refuses all requests. Then it lets one
	// request through. If that succeeds, the circuit closes again.
	Cooldown time.Duration
}

// WithBreaker returns a store that sends s no requests while s is broken: they fail at
// once, with ErrUnavailable. Reading and writing have a circuit each, because
// credentials that allow only reading are common.
//
// A fault is an error that is neither an answer, such as ErrNotFound or ErrConflict, nor
// the end of the caller's context. The result of a Get is known, and counted, when its
// body is closed.
func WithBreaker(s Store, b Breaker) Store {
	return &guarded{s, newCircuit(b), newCircuit(b)}
}

type guarded struct {
	Store
	reads, writes *circuit
}

// circuit is a circuit breaker that ErrDenied opens at once.
type circuit struct {
	breaker *gobreaker.TwoStepCircuitBreaker[struct{}]

	mu     sync.Mutex // held while a result is reported
	denied bool       // the result being reported is ErrDenied
}

// errGone stands for each result that says nothing about the store, because the
// caller gave up.
var errGone = errors.New("caller gone")

func newCircuit(b Breaker) *circuit {
	c := new(circuit)
	c.breaker = gobreaker.NewTwoStepCircuitBreaker[struct{}](gobreaker.Settings{
		Timeout: b.Cooldown,
		ReadyToTrip: func(counts gobreaker.Counts) bool {
			return c.denied || counts.ConsecutiveFailures >= uint32(b.Faults)
		},
		IsSuccessful: isAnswer,
		IsExcluded:   func(err error) bool { return err == errGone },
	})
	return c
}

// allow returns an error if the request must not be sent. Otherwise the caller calls
// report once, with the request's context and result.
func (c *circuit) allow(op, key string) (report func(context.Context, error), err error) {
	done, err := c.breaker.Allow()
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", op, key, ErrUnavailable)
	}
	return func(ctx context.Context, err error) {
		result := err
		if !isAnswer(err) && !isFault(ctx, err) {
			result = errGone
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.denied = errors.Is(result, ErrDenied)
		done(result)
	}, nil
}

func (s *guarded) Get(ctx context.Context, key string, r Range) (io.ReadCloser, Object, error) {
	report, err := s.reads.allow("get", key)
	if err != nil {
		return nil, Object{}, err
	}
	body, obj, err := s.Store.Get(ctx, key, r)
	if err != nil {
		report(ctx, err)
		return nil, Object{}, err
	}
	return observe(body, func(_ int64, err error) { report(ctx, err) }), obj, nil
}

func (s *guarded) Put(ctx context.Context, key string, body io.ReadSeeker, opts PutOptions) (Object, error) {
	report, err := s.writes.allow("put", key)
	if err != nil {
		return Object{}, err
	}
	obj, err := s.Store.Put(ctx, key, body, opts)
	report(ctx, err)
	return obj, err
}

func (s *guarded) Delete(ctx context.Context, key string) error {
	report, err := s.writes.allow("delete", key)
	if err != nil {
		return err
	}
	err = s.Store.Delete(ctx, key)
	report(ctx, err)
	return err
}

func (s *guarded) List(ctx context.Context, prefix string) iter.Seq2[Object, error] {
	return func(yield func(Object, error) bool) {
		report, err := s.reads.allow("list", prefix)
		if err != nil {
			yield(Object{}, err)
			return
		}
		var last error
		defer func() { report(ctx, last) }()
		for obj, err := range s.Store.List(ctx, prefix) {
			last = err
			if !yield(obj, err) {
				return
			}
		}
	}
}

package backend_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/backend/backendtest"
)

// window is how long faults go on before the circuit of broken opens.
const window = 3 * time.Second

// broken returns a store behind a breaker that opens after three faults within more than
// window, for a minute. The test may change the store's fault.
func broken(t *testing.T) (s backend.Store, fault *backendtest.Fault) {
	t.Helper()
	inner := backendtest.Memory()
	backendtest.PutBytes(t, inner, "key", []byte("data"))
	fault = new(backendtest.Fault)
	s = backendtest.Faulty(inner, func(op, key string) backendtest.Fault { return *fault })
	return backend.WithBreaker(s, backend.Breaker{
		Faults:   3,
		Window:   window,
		Cooldown: time.Minute,
	}), fault
}

func TestBreakerOpensAfterFaultsInARow(t *testing.T) {
	for name, request := range requests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, fault := broken(t)
				for range 2 {
					*fault = backendtest.Fault{Err: errFault}
					for range 2 {
						if err := request(t.Context(), s); !errors.Is(err, errFault) {
							t.Fatalf("got %v", err)
						}
					}
					*fault = backendtest.Fault{}
					if err := request(t.Context(), s); err != nil {
						t.Fatalf("faults that were not in a row: %v", err)
					}
				}

				*fault = backendtest.Fault{Err: errFault}
				for range 100 { // at once: one stumble
					if err := request(t.Context(), s); !errors.Is(err, errFault) {
						t.Fatalf("after a moment: %v", err)
					}
				}
				time.Sleep(window)
				request(t.Context(), s)
				*fault = backendtest.Fault{}
				if err := request(t.Context(), s); !errors.Is(err, backend.ErrUnavailable) {
					t.Errorf("open circuit: %v", err)
				}

				time.Sleep(time.Minute + 1)
				for range 2 {
					if err := request(t.Context(), s); err != nil {
						t.Errorf("after the cooldown: %v", err)
					}
				}
			})
		})
	}
}

func TestBreakerStaysOpenWhileNothingIsBetter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, fault := broken(t)
		*fault = backendtest.Fault{Err: errFault}
		for range 10 {
			for range 4 {
				get(t.Context(), s, "key")
				time.Sleep(window)
			}
			if _, err := get(t.Context(), s, "key"); !errors.Is(err, backend.ErrUnavailable) {
				t.Errorf("got %v", err)
			}
			time.Sleep(time.Minute + 1)
		}
	})
}

func TestBreakerOpensAtOnceWhenDenied(t *testing.T) {
	s, fault := broken(t)
	*fault = backendtest.Fault{Err: backend.ErrDenied}
	if err := put(t.Context(), s, "key", "data"); !errors.Is(err, backend.ErrDenied) {
		t.Fatal(err)
	}
	*fault = backendtest.Fault{}
	if err := put(t.Context(), s, "key", "data"); !errors.Is(err, backend.ErrUnavailable) {
		t.Errorf("second put: %v", err)
	}
	if _, err := get(t.Context(), s, "key"); err != nil {
		t.Errorf("a get where only writing is denied: %v", err)
	}
}

func TestBreakerTakesAnswersForASuccess(t *testing.T) {
	for _, answer := range []error{backend.ErrNotFound, backend.ErrConflict, backend.ErrDigest} {
		s, fault := broken(t)
		*fault = backendtest.Fault{Err: answer}
		for range 10 {
			if _, err := get(t.Context(), s, "key"); !errors.Is(err, answer) {
				t.Fatalf("got %v", err)
			}
		}
	}
}

func TestBreakerDoesNotCountCallersThatLeave(t *testing.T) {
	synctest.Test(t, testCallersThatLeave)
}

func testCallersThatLeave(t *testing.T) {
	s, fault := broken(t)
	*fault = backendtest.Fault{Err: errFault}
	get(t.Context(), s, "key")
	time.Sleep(window)
	get(t.Context(), s, "key")

	*fault = backendtest.Fault{Hang: true}
	for range 10 {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := get(ctx, s, "key"); !errors.Is(err, context.Canceled) {
			t.Fatalf("got %v", err)
		}
	}

	// Those requests were neither faults nor successes: one more fault opens the circuit.
	*fault = backendtest.Fault{Err: errFault}
	get(t.Context(), s, "key")
	if _, err := get(t.Context(), s, "key"); !errors.Is(err, backend.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
}

func TestBreakerCountsBodiesThatBreak(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, fault := broken(t)
		*fault = backendtest.Fault{Break: errFault}
		for range 3 {
			if _, err := get(t.Context(), s, "key"); !errors.Is(err, errFault) {
				t.Fatalf("got %v", err)
			}
			time.Sleep(window)
		}
		if _, err := get(t.Context(), s, "key"); !errors.Is(err, backend.ErrUnavailable) {
			t.Errorf("got %v", err)
		}
	})
}

// That one object is written too often is no fault, and no success either.
func TestBreakerDoesNotCountContention(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, fault := broken(t)
		*fault = backendtest.Fault{Err: &backend.Busy{Object: true}}
		for range 10 {
			put(t.Context(), s, "key", "data")
			time.Sleep(window)
		}
		*fault = backendtest.Fault{Err: &backend.Busy{}}
		for range 3 {
			put(t.Context(), s, "key", "data")
			time.Sleep(window)
		}
		if err := put(t.Context(), s, "key", "data"); !errors.Is(err, backend.ErrUnavailable) {
			t.Errorf("a store that is busy with everything: %v", err)
		}
	})
}

// A timeout is a fault from the beginning of its request on, unless another request has
// succeeded since.
func TestBreakerCountsTimeouts(t *testing.T) {
	for name, answers := range map[string]bool{"nothing comes back": false, "something comes back": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := backendtest.Faulty(faulty(t, backendtest.Fault{}), func(op, key string) backendtest.Fault {
					return backendtest.Fault{Hang: key == "hangs"}
				})
				s = backend.WithBreaker(backend.WithTimeout(s, window), backend.Breaker{Faults: 3, Window: window, Cooldown: time.Hour})
				var group sync.WaitGroup
				for range 10 {
					group.Go(func() {
						if _, err := get(t.Context(), s, "hangs"); !errors.Is(err, backend.ErrTimeout) {
							t.Errorf("got %v", err)
						}
					})
				}
				time.Sleep(window / 2)
				if answers {
					get(t.Context(), s, "key")
				}
				group.Wait()
				if _, err := get(t.Context(), s, "key"); errors.Is(err, backend.ErrUnavailable) == answers {
					t.Errorf("got %v", err)
				}
			})
		})
	}
}

package backend_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/backend/backendtest"
)

// broken returns a store behind a breaker that opens after three faults, for a minute.
// The test may change the store's fault.
func broken(t *testing.T) (s backend.Store, fault *backendtest.Fault) {
	t.Helper()
	inner := backendtest.Memory()
	backendtest.PutBytes(t, inner, "key", []byte("data"))
	fault = new(backendtest.Fault)
	s = backendtest.Faulty(inner, func(op, key string) backendtest.Fault { return *fault })
	return backend.WithBreaker(s, backend.Breaker{
		Faults:   3,
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
				for range 3 {
					request(t.Context(), s)
				}
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
	s, fault := broken(t)
	*fault = backendtest.Fault{Err: errFault}
	get(t.Context(), s, "key")
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
		}
		if _, err := get(t.Context(), s, "key"); !errors.Is(err, backend.ErrUnavailable) {
			t.Errorf("got %v", err)
		}
	})
}

func TestBreakerCountsTimeouts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := backend.WithTimeout(faulty(t, backendtest.Fault{Hang: true}), time.Second)
		s = backend.WithBreaker(s, backend.Breaker{Faults: 2, Cooldown: time.Hour})
		for range 2 {
			if _, err := get(t.Context(), s, "key"); !errors.Is(err, backend.ErrTimeout) {
				t.Fatalf("got %v", err)
			}
		}
		if _, err := get(t.Context(), s, "key"); !errors.Is(err, backend.ErrUnavailable) {
			t.Errorf("got %v", err)
		}
	})
}

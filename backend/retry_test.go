package backend_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/backend/backendtest"
)

var errFault = errors.New("fault of the moment")

// failing returns a store whose first requests meet the given faults, one each, and
// whose later requests meet none.
func failing(s backend.Store, faults ...backendtest.Fault) backend.Store {
	return backendtest.Faulty(s, func(op, key string) backendtest.Fault {
		if len(faults) == 0 {
			return backendtest.Fault{}
		}
		fault := faults[0]
		faults = faults[1:]
		return fault
	})
}

// patient waits up to a second before the second attempt, and goes on for a minute.
var patient = backend.Retry{Backoff: time.Second, MaxBackoff: 10 * time.Second, Patience: time.Minute}

func TestRetryOvercomesFaults(t *testing.T) {
	for name, request := range requests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				inner := backendtest.Memory()
				backendtest.PutBytes(t, inner, "key", []byte("data"))
				fault := backendtest.Fault{Err: errFault}
				s := backend.WithRetry(failing(inner, fault, fault, fault), patient)
				start := time.Now()
				if err := request(t.Context(), s); err != nil {
					t.Error(err)
				}
				if took := time.Since(start); took > 7*time.Second { // up to 1, 2 and 4 s
					t.Errorf("took %v", took)
				}
			})
		})
	}
}

// TestRetryWaitsAtRandom: requests that fail together don't come back together.
func TestRetryWaitsAtRandom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		var mu sync.Mutex
		ends := make(map[time.Duration]bool)
		var group sync.WaitGroup
		for range 20 {
			s := backend.WithRetry(failing(faulty(t, backendtest.Fault{}), backendtest.Fault{Err: errFault}), patient)
			group.Go(func() {
				get(t.Context(), s, "key")
				mu.Lock()
				defer mu.Unlock()
				ends[time.Since(start)/(50*time.Millisecond)] = true
			})
		}
		group.Wait()
		if len(ends) < 5 {
			t.Errorf("20 requests came back at only %d different times", len(ends))
		}
	})
}

func TestRetryGivesUp(t *testing.T) {
	for name, request := range requests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var counters backend.Counters
				s := backend.WithCounters(faulty(t, backendtest.Fault{Err: errFault}), &counters)
				s = backend.WithRetry(s, patient)
				start := time.Now()
				if err := request(t.Context(), s); !errors.Is(err, errFault) {
					t.Errorf("got %v", err)
				}
				took, attempts := time.Since(start), counters.Snapshot().Requests
				if took > patient.Patience || took < patient.Patience-patient.MaxBackoff || attempts < 6 {
					t.Errorf("gave up after %v and %d attempts", took, attempts)
				}
			})
		})
	}
}

// TestRetryHeedsTheStore: a store that is busy says when to come back.
func TestRetryHeedsTheStore(t *testing.T) {
	for _, test := range []struct {
		name     string
		after    time.Duration
		min, max time.Duration
		fails    bool
	}{
		{"soon", time.Millisecond, time.Millisecond, 3 * time.Second, false},
		{"later", 20 * time.Second, 20 * time.Second, 21 * time.Second, false},
		{"too late", time.Hour, 0, time.Second, true},
		{"never", math.MaxInt64, 0, time.Second, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				busy := &backend.Busy{After: test.after}
				s := backend.WithRetry(failing(backendtest.Memory(), backendtest.Fault{Err: errFault}, backendtest.Fault{Err: busy}), patient)
				start := time.Now()
				err := put(t.Context(), s, "key", "data")
				if took := time.Since(start); took < test.min || took > test.max || test.fails != errors.Is(err, busy) {
					t.Errorf("took %v, and got %v", took, err)
				}
			})
		})
	}
}

func TestRetryTakesAnswersForAnAnswer(t *testing.T) {
	for _, answer := range []error{
		backend.ErrNotFound, backend.ErrConflict, backend.ErrDigest, backend.ErrNoConditions,
		backend.ErrDenied, backend.ErrReadOnly, backend.ErrUnavailable,
	} {
		for name, request := range requests {
			t.Run(name+"/"+answer.Error(), func(t *testing.T) {
				var counters backend.Counters
				s := backend.WithCounters(faulty(t, backendtest.Fault{Err: answer}), &counters)
				if err := request(t.Context(), backend.WithRetry(s, patient)); !errors.Is(err, answer) {
					t.Errorf("got %v", err)
				}
				if got := counters.Snapshot().Requests; got != 1 {
					t.Errorf("%d attempts, want 1", got)
				}
			})
		}
	}
}

// TestRetryWaitsForTheCircuit: an outage is waited out by those who have the time, unless
// the store denies access or has not answered yet.
func TestRetryWaitsForTheCircuit(t *testing.T) {
	for _, test := range []struct {
		name     string
		err      error
		answered bool
		outage   time.Duration
		hurried  bool
		want     error
	}{
		{"a stumble", errFault, true, time.Second, false, nil},
		{"a stumble at the beginning", errFault, false, time.Second, false, nil},
		{"a hurried request in a stumble", errFault, true, time.Second, true, nil},
		{"an outage", errFault, true, 20 * time.Second, false, nil},
		{"an outage at the beginning", errFault, false, 20 * time.Second, false, backend.ErrUnavailable},
		{"a hurried request", errFault, true, 20 * time.Second, true, backend.ErrUnavailable},
		{"a long outage", errFault, true, time.Hour, false, backend.ErrUnavailable},
		{"access denied", backend.ErrDenied, true, 20 * time.Second, false, backend.ErrUnavailable},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var down time.Time // the end of the outage
				inner := backendtest.Faulty(faulty(t, backendtest.Fault{}), func(op, key string) backendtest.Fault {
					if time.Now().Before(down) {
						return backendtest.Fault{Err: test.err}
					}
					return backendtest.Fault{}
				})
				s := backend.WithBreaker(inner, backend.Breaker{Faults: 3, Window: window, Cooldown: 5 * time.Second})
				s = backend.WithRetry(s, patient)
				ctx := t.Context()
				if test.answered {
					get(ctx, s, "key")
				}
				down = time.Now().Add(test.outage)
				if test.hurried {
					ctx = backend.Hurried(ctx)
				}
				start := time.Now()
				var group sync.WaitGroup
				for range 20 {
					group.Go(func() {
						_, err := get(ctx, s, "key")
						if (err == nil) != (test.want == nil) {
							t.Errorf("got %v", err)
						}
					})
				}
				group.Wait()
				if _, err := get(ctx, s, "key"); !errors.Is(err, test.want) {
					t.Errorf("afterwards: %v, want %v", err, test.want)
				}
				if took := time.Since(start); took > patient.Patience || test.outage > 0 && test.want == nil && took < test.outage {
					t.Errorf("took %v", took)
				}
			})
		})
	}
}

// TestPatient: a request that is worth a longer wait than others gets it.
func TestPatient(t *testing.T) {
	busy := backendtest.Fault{Err: &backend.Busy{After: 70 * time.Second}}
	for _, test := range []struct {
		name     string
		patience time.Duration // 0: the usual
		err      bool
	}{
		{"the usual patience", 0, true},
		{"less than the usual", time.Second, true},
		{"more", 90 * time.Second, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tries := 0
				s := backend.WithRetry(backendtest.Faulty(faulty(t, backendtest.Fault{}), func(op, key string) backendtest.Fault {
					if tries++; tries == 1 {
						return busy
					}
					return backendtest.Fault{}
				}), patient)
				ctx := t.Context()
				if test.patience > 0 {
					ctx = backend.Patient(ctx, test.patience)
				}
				if _, err := get(ctx, s, "key"); (err != nil) != test.err {
					t.Errorf("%v", err)
				}
			})
		})
	}
}

// TestRetryAfterALateSuccess: a request that began before the circuit opened may succeed
// while it is open. The others wait all the same.
func TestRetryAfterALateSuccess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, fault := broken(t)
		body, _, err := s.Get(t.Context(), "key", backend.Range{})
		if err != nil {
			t.Fatal(err)
		}
		*fault = backendtest.Fault{Err: errFault}
		for range 3 {
			get(t.Context(), s, "key")
			time.Sleep(window)
		}
		*fault = backendtest.Fault{}
		body.Close()
		if _, err := get(t.Context(), s, "key"); !errors.Is(err, backend.ErrUnavailable) {
			t.Fatalf("the circuit is not open: %v", err)
		}
		if _, err := get(t.Context(), backend.WithRetry(s, backend.Retry{Backoff: time.Second, MaxBackoff: time.Second, Patience: 2 * time.Minute}), "key"); err != nil {
			t.Error(err)
		}
	})
}

func TestRetryTriesATimeoutAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := failing(backendtest.Memory(), backendtest.Fault{Hang: true})
		s := backend.WithRetry(backend.WithTimeout(inner, time.Second), patient)
		if err := put(t.Context(), s, "key", "data"); err != nil {
			t.Error(err)
		}
	})
}

func TestRetryEndsWithItsCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		gone := errors.New("gone")
		time.AfterFunc(time.Minute, func() { cancel(gone) })
		s := backend.WithRetry(faulty(t, backendtest.Fault{Err: errFault}),
			backend.Retry{Backoff: time.Hour, MaxBackoff: time.Hour, Patience: 24 * time.Hour})
		if err := put(ctx, s, "key", "data"); !errors.Is(err, gone) {
			t.Errorf("got %v", err)
		}
	})
}

// halfReader is a store whose first Put reads half of the body and then fails.
type halfReader struct {
	backend.Store
	failed bool
}

func (s *halfReader) Put(ctx context.Context, key string, body io.ReadSeeker, opts backend.PutOptions) (backend.Object, error) {
	if !s.failed {
		s.failed = true
		io.CopyN(io.Discard, body, opts.Size/2)
		return backend.Object{}, errFault
	}
	return s.Store.Put(ctx, key, body, opts)
}

func TestRetryRewindsToWhereTheBodyBegan(t *testing.T) {
	inner := backendtest.Memory()
	body := bytes.NewReader([]byte("skipped, sent"))
	body.Seek(9, io.SeekStart)
	_, err := backend.WithRetry(&halfReader{Store: inner}, patient).
		Put(t.Context(), "key", body, backend.OptionsOf([]byte("sent")))
	if err != nil {
		t.Fatal(err)
	}
	if data, err := get(t.Context(), inner, "key"); string(data) != "sent" {
		t.Errorf("stored %q, %v", data, err)
	}
}

func TestRetryOfAConditionalPut(t *testing.T) {
	lost := backendtest.Fault{Lost: errFault}
	forEver := func(faults ...backendtest.Fault) []backendtest.Fault { return slices.Repeat(faults, 100) }
	for _, test := range []struct {
		name   string
		there  string // before the put
		absent bool
		faults []backendtest.Fault
		want   error
		stored string
	}{
		{"carried out, answer lost", "", true, []backendtest.Fault{lost}, nil, "mine"},
		{"overwritten, answer lost", "old", false, []backendtest.Fault{lost}, nil, "mine"},
		{"not carried out", "", true, []backendtest.Fault{{Err: errFault}}, nil, "mine"},
		{"lost to another", "theirs", true, []backendtest.Fault{{Err: errFault}}, backend.ErrConflict, "theirs"},
		{"lost to another of the same size", "them", true, []backendtest.Fault{{Err: errFault}}, backend.ErrConflict, "them"},
		{"found out later", "", true, []backendtest.Fault{lost, {}, {Err: errFault}}, nil, "mine"},
		{"no way to find out", "", true, append([]backendtest.Fault{lost}, forEver(backendtest.Fault{}, backendtest.Fault{Err: errFault})...), errFault, "mine"},
		{"half a way to find out", "", true, append([]backendtest.Fault{lost}, forEver(backendtest.Fault{}, backendtest.Fault{Break: errFault})...), errFault, "mine"},
		{"a plain conflict", "theirs", true, nil, backend.ErrConflict, "theirs"},
	} {
		t.Run(test.name, synctested(func(t *testing.T) {
			inner := backendtest.Memory()
			opts := backend.OptionsOf([]byte("mine"))
			opts.If.Absent = test.absent
			if test.there != "" {
				version := backendtest.PutBytes(t, inner, "key", []byte(test.there)).Version
				if !test.absent {
					opts.If.Version = version
				}
			}
			s := backend.WithRetry(failing(inner, test.faults...), patient)
			obj, err := s.Put(t.Context(), "key", bytes.NewReader([]byte("mine")), opts)
			if !errors.Is(err, test.want) {
				t.Errorf("got %v, want %v", err, test.want)
			}
			body, now, getErr := inner.Get(t.Context(), "key", backend.Range{})
			if getErr != nil {
				t.Fatal(getErr)
			}
			if data, _ := io.ReadAll(body); string(data) != test.stored {
				t.Errorf("stored %q, want %q", data, test.stored)
			}
			if err == nil && obj != now {
				t.Errorf("put returned %+v, there is %+v", obj, now)
			}
		}))
	}
}

// synctested returns test, to run in a bubble with a clock of its own.
func synctested(test func(*testing.T)) func(*testing.T) {
	return func(t *testing.T) { synctest.Test(t, test) }
}

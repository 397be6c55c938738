package backend_test

import (
	"bytes"
	"context"
	"errors"
	"io"
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

func TestRetryOvercomesFaults(t *testing.T) {
	for name, request := range requests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				inner := backendtest.Memory()
				backendtest.PutBytes(t, inner, "key", []byte("data"))
				fault := backendtest.Fault{Err: errFault}
				s := backend.WithRetry(failing(inner, fault, fault), 3, time.Second)
				start := time.Now()
				if err := request(t.Context(), s); err != nil {
					t.Error(err)
				}
				// The first wait is from 0.5 s to 1 s, the second from 1 s to 2 s.
				if took := time.Since(start); took < 1500*time.Millisecond || took > 3*time.Second {
					t.Errorf("took %v", took)
				}
			})
		})
	}
}

func TestRetryGivesUp(t *testing.T) {
	for name, request := range requests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var counters backend.Counters
				s := backend.WithCounters(faulty(t, backendtest.Fault{Err: errFault}), &counters)
				s = backend.WithRetry(s, 4, time.Second)
				if err := request(t.Context(), s); !errors.Is(err, errFault) {
					t.Errorf("got %v", err)
				}
				if got := counters.Snapshot().Requests; got != 4 {
					t.Errorf("%d attempts, want 4", got)
				}
			})
		})
	}
}

func TestRetryTakesAnswersForAnAnswer(t *testing.T) {
	for _, answer := range []error{
		backend.ErrNotFound, backend.ErrConflict, backend.ErrDigest,
		backend.ErrDenied, backend.ErrReadOnly, backend.ErrUnavailable,
	} {
		for name, request := range requests {
			t.Run(name+"/"+answer.Error(), func(t *testing.T) {
				var counters backend.Counters
				s := backend.WithCounters(faulty(t, backendtest.Fault{Err: answer}), &counters)
				if err := request(t.Context(), backend.WithRetry(s, 4, time.Hour)); !errors.Is(err, answer) {
					t.Errorf("got %v", err)
				}
				if got := counters.Snapshot().Requests; got != 1 {
					t.Errorf("%d attempts, want 1", got)
				}
			})
		}
	}
}

func TestRetryTriesATimeoutAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := failing(backendtest.Memory(), backendtest.Fault{Hang: true})
		s := backend.WithRetry(backend.WithTimeout(inner, time.Second), 2, time.Second)
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
		s := backend.WithRetry(faulty(t, backendtest.Fault{Err: errFault}), 3, time.Hour)
		if err := put(ctx, s, "key", "data"); !errors.Is(err, gone) {
			t.Errorf("got %v", err)
		}
	})
}

func TestRetryLeavesABodyToItsReader(t *testing.T) {
	s := backend.WithRetry(failing(faulty(t, backendtest.Fault{}), backendtest.Fault{Break: errFault}), 3, 0)
	if data, err := get(t.Context(), s, "key"); !errors.Is(err, errFault) || string(data) != "da" {
		t.Errorf("got %q and %v", data, err)
	}
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
	_, err := backend.WithRetry(&halfReader{Store: inner}, 2, 0).
		Put(t.Context(), "key", body, backendtest.Options([]byte("sent")))
	if err != nil {
		t.Fatal(err)
	}
	if data, err := get(t.Context(), inner, "key"); string(data) != "sent" {
		t.Errorf("stored %q, %v", data, err)
	}
}

func TestRetryOfAConditionalPut(t *testing.T) {
	lost := backendtest.Fault{Lost: errFault}
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
		{"no way to find out", "", true, []backendtest.Fault{lost, {}, {Err: errFault}}, errFault, "mine"},
		{"half a way to find out", "", true, []backendtest.Fault{lost, {}, {Break: errFault}}, errFault, "mine"},
		{"a plain conflict", "theirs", true, nil, backend.ErrConflict, "theirs"},
	} {
		t.Run(test.name, func(t *testing.T) {
			inner := backendtest.Memory()
			opts := backendtest.Options([]byte("mine"))
			opts.If.Absent = test.absent
			if test.there != "" {
				version := backendtest.PutBytes(t, inner, "key", []byte(test.there)).Version
				if !test.absent {
					opts.If.Version = version
				}
			}
			s := backend.WithRetry(failing(inner, test.faults...), 2, 0)
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
		})
	}
}

func TestRetryOfAListHandsNothingOutTwice(t *testing.T) {
	s := backend.WithRetry(failing(faulty(t, backendtest.Fault{}), backendtest.Fault{Lost: errFault}), 3, 0)
	if n, err := list(t.Context(), s); n != 1 || !errors.Is(err, errFault) {
		t.Errorf("%d objects and %v, want 1 and the fault", n, err)
	}
}

package backend_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/backend/backendtest"
)

// TestRetryResumesABody: a reader does not notice that a body broke off.
func TestRetryResumesABody(t *testing.T) {
	content := strings.Repeat("0123456789", 100)
	broken := backendtest.Fault{Break: errFault} // after half of what is asked for
	for _, test := range []struct {
		name   string
		r      backend.Range
		faults []backendtest.Fault
	}{
		{"whole", backend.Range{}, []backendtest.Fault{broken}},
		{"several times", backend.Range{}, []backendtest.Fault{broken, broken, broken}},
		{"a part", backend.Range{Offset: 100, Length: 500}, []backendtest.Fault{broken, broken}},
		{"the end", backend.Range{Offset: 700}, []backendtest.Fault{broken, broken}},
		{"past the end", backend.Range{Offset: 700, Length: 500}, []backendtest.Fault{broken, broken}},
		{"the store stumbles as well", backend.Range{}, []backendtest.Fault{broken, {Err: errFault}, {Err: errFault}, broken}},
	} {
		t.Run(test.name, synctested(func(t *testing.T) {
			inner := backendtest.Memory()
			backendtest.PutBytes(t, inner, "key", []byte(content))
			// A slot for one body: the one that broke off must not keep it.
			s := backend.WithRetry(backend.WithLimit(failing(inner, test.faults...), 1), patient)
			body, _, err := s.Get(t.Context(), "key", test.r)
			if err != nil {
				t.Fatal(err)
			}
			defer body.Close()
			want := content[test.r.Offset:]
			if test.r.Length > 0 {
				want = want[:min(test.r.Length, int64(len(want)))]
			}
			if data, err := io.ReadAll(body); string(data) != want || err != nil {
				t.Errorf("got %d bytes and %v, want %d", len(data), err, len(want))
			}
		}))
	}
}

// TestRetryDoesNotMixObjects: what follows a break must belong to what came before it.
func TestRetryDoesNotMixObjects(t *testing.T) {
	synctested(func(t *testing.T) {
		inner := backendtest.Memory()
		backendtest.PutBytes(t, inner, "key", []byte("old data"))
		s := backend.WithRetry(failing(inner, backendtest.Fault{Break: errFault}), patient)
		body, _, err := s.Get(t.Context(), "key", backend.Range{})
		if err != nil {
			t.Fatal(err)
		}
		defer body.Close()
		backendtest.PutBytes(t, inner, "key", []byte("new data"))
		if data, err := io.ReadAll(body); string(data) != "old " || !errors.Is(err, errFault) {
			t.Errorf("got %q and %v", data, err)
		}
	})(t)
}

// TestRetryGivesUpABody: faults that come soon after each other have the patience of one
// request; those that are far apart have it each.
func TestRetryGivesUpABody(t *testing.T) {
	for name, size := range map[string]int{"little": 1000, "much": 64 << 20} {
		t.Run(name, synctested(func(t *testing.T) {
			inner := backendtest.Memory()
			backendtest.PutBytes(t, inner, "key", bytes.Repeat([]byte("x"), size))
			// Each request breaks off after half, and then takes a while to come again.
			s := backendtest.Faulty(inner, func(op, key string) backendtest.Fault {
				return backendtest.Fault{Break: errFault, Delay: 15 * time.Second}
			})
			body, _, err := backend.WithRetry(s, patient).Get(t.Context(), "key", backend.Range{})
			if err != nil {
				t.Fatal(err)
			}
			defer body.Close()
			start := time.Now()
			n, err := io.Copy(io.Discard, body)
			took := time.Since(start)
			if !errors.Is(err, errFault) || (took > 2*patient.Patience) != (size > 1000) {
				t.Errorf("%d of %d bytes, then %v, in %v", n, size, err, took)
			}
		}))
	}
}

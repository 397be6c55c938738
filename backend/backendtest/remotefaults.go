package backendtest

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/larderbuild/larder/backend"
)

// WantDenied sends s one request of each kind. The test fails if s does not refuse
// all of them with ErrDenied.
func WantDenied(t *testing.T, s backend.Store) {
	t.Helper()
	for op, request := range requests(t, s) {
		if err := request(); !errors.Is(err, backend.ErrDenied) || errors.Is(err, backend.ErrNotFound) {
			t.Errorf("%s: %v, want ErrDenied", op, err)
		}
	}
}

// RunFaults tests how a driver handles faults of the connection to its server. Each
// function in faults breaks the connection; heal repairs it.
func RunFaults(t *testing.T, s backend.Store, faults map[string]func(), heal func()) {
	PutBytes(t, s, "key", bytes.Repeat([]byte("0123456789abcdef"), 1<<16))
	for name, fault := range faults {
		t.Run(name, func(t *testing.T) {
			fault()
			defer heal()
			body, _, err := s.Get(t.Context(), "key", backend.Range{})
			if err == nil {
				_, err = io.ReadAll(body)
				body.Close()
			}
			if err == nil || errors.Is(err, backend.ErrNotFound) || errors.Is(err, backend.ErrDenied) {
				t.Errorf("got %v, want a fault", err)
			}
		})
	}
}

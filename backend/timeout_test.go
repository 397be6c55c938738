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

// faulty returns a store in memory that has "data" under "key". All later requests
// meet fault.
func faulty(t *testing.T, fault backendtest.Fault) backend.Store {
	t.Helper()
	s := backendtest.Memory()
	backendtest.PutBytes(t, s, "key", []byte("data"))
	return backendtest.Faulty(s, func(op, key string) backendtest.Fault { return fault })
}

// get returns the whole object that s has under key.
func get(ctx context.Context, s backend.Store, key string) ([]byte, error) {
	body, _, err := s.Get(ctx, key, backend.Range{})
	if err != nil {
		return nil, err
	}
	defer body.Close()
	return io.ReadAll(body)
}

func list(ctx context.Context, s backend.Store) (n int, err error) {
	for _, err = range s.List(ctx, "") {
		if err == nil {
			n++
		}
	}
	return n, err
}

func put(ctx context.Context, s backend.Store, key, data string) error {
	_, err := s.Put(ctx, key, bytes.NewReader([]byte(data)), backend.OptionsOf([]byte(data)))
	return err
}

// requests has a function for each kind of request, which sends one.
var requests = map[string]func(context.Context, backend.Store) error{
	"get":    func(ctx context.Context, s backend.Store) error { _, err := get(ctx, s, "key"); return err },
	"put":    func(ctx context.Context, s backend.Store) error { return put(ctx, s, "new", "data") },
	"delete": func(ctx context.Context, s backend.Store) error { return s.Delete(ctx, "key", "") },
	"list":   func(ctx context.Context, s backend.Store) error { _, err := list(ctx, s); return err },
}

func TestTimeoutEndsWhatHangs(t *testing.T) {
	for name, request := range requests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := backend.WithTimeout(faulty(t, backendtest.Fault{Hang: true}), 10*time.Second)
				start := time.Now()
				if err := request(t.Context(), s); !errors.Is(err, backend.ErrTimeout) {
					t.Errorf("got %v, want ErrTimeout", err)
				}
				if took := time.Since(start); took != 10*time.Second {
					t.Errorf("took %v", took)
				}
			})
		})
	}
}

func TestTimeoutEndsABodyThatStalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := backend.WithTimeout(faulty(t, backendtest.Fault{Stall: true}), 10*time.Second)
		data, err := get(t.Context(), s, "key")
		if string(data) != "da" || !errors.Is(err, backend.ErrTimeout) {
			t.Errorf("got %q and %v, want half and ErrTimeout", data, err)
		}
	})
}

func TestTimeoutEndsABodyThatDoesNotClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		memory := backendtest.Memory()
		backendtest.PutBytes(t, memory, "body", []byte("data"))
		until := make(chan struct{})
		defer close(until)
		s := backend.WithTimeout(backend.Abandonable(stuck{memory, until}, 1), 10*time.Second)
		body, _, err := s.Get(t.Context(), "body", backend.Range{})
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		body.Close()
		if took := time.Since(start); took != 10*time.Second {
			t.Errorf("took %v", took)
		}
	})
}

func TestTimeoutLeavesWhatMovesAlone(t *testing.T) {
	for name, request := range requests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := backend.WithTimeout(faulty(t, backendtest.Fault{Delay: 9 * time.Second}), 10*time.Second)
				if err := request(t.Context(), s); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// slow waits before each byte that it reads or writes.
type slow struct {
	backend.Store
	pause time.Duration
}

func (s slow) Get(ctx context.Context, key string, r backend.Range) (io.ReadCloser, backend.Object, error) {
	body, obj, err := s.Store.Get(ctx, key, r)
	return slowBody{body, s.pause}, obj, err
}

func (s slow) Put(ctx context.Context, key string, body io.ReadSeeker, opts backend.PutOptions) (backend.Object, error) {
	var data []byte
	for one := make([]byte, 1); ; data = append(data, one...) {
		time.Sleep(s.pause)
		if ctx.Err() != nil {
			return backend.Object{}, context.Cause(ctx)
		}
		if _, err := body.Read(one); err == io.EOF {
			return s.Store.Put(ctx, key, bytes.NewReader(data), opts)
		}
	}
}

type slowBody struct {
	io.ReadCloser
	pause time.Duration
}

func (b slowBody) Read(p []byte) (int, error) {
	time.Sleep(b.pause)
	return b.ReadCloser.Read(p[:1])
}

func TestTimeoutIsNotATotal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := backend.WithTimeout(slow{backendtest.Memory(), 9 * time.Second}, 10*time.Second)
		start := time.Now()
		if err := put(t.Context(), s, "key", "0123456789"); err != nil {
			t.Error(err)
		}
		if data, err := get(t.Context(), s, "key"); err != nil || len(data) != 10 {
			t.Errorf("got %q, %v", data, err)
		}
		if time.Since(start) < 100*time.Second {
			t.Error("the store was not slow")
		}
	})
}

func TestTimeoutDoesNotCountTheCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := backend.WithTimeout(faulty(t, backendtest.Fault{}), 10*time.Second)
		body, _, err := s.Get(t.Context(), "key", backend.Range{})
		if err != nil {
			t.Fatal(err)
		}
		defer body.Close()
		for range 4 {
			time.Sleep(time.Minute)
			if _, err := body.Read(make([]byte, 1)); err != nil {
				t.Fatal(err)
			}
		}
		for _, err := range s.List(t.Context(), "") {
			time.Sleep(time.Minute)
			if err != nil {
				t.Fatal(err)
			}
		}
	})
}

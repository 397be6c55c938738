package backend_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"iter"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/backend/backendtest"
)

func TestAbandonableKeepsTheContract(t *testing.T) {
	backendtest.Run(t, func(*testing.T) backend.Store {
		return backend.Abandonable(backendtest.Memory(), 4)
	})
}

// stuck is a store whose calls heed no context: each waits until the channel is closed.
type stuck struct {
	backend.Store
	until chan struct{}
}

func (s stuck) Get(ctx context.Context, key string, r backend.Range) (io.ReadCloser, backend.Object, error) {
	body, obj, err := s.Store.Get(ctx, key, r)
	if key == "body" {
		return stuckBody{body, s.until}, obj, err
	}
	<-s.until
	return body, obj, err
}

type stuckBody struct {
	io.ReadCloser
	until chan struct{}
}

func (b stuckBody) Read(p []byte) (int, error) {
	<-b.until
	return b.ReadCloser.Read(p)
}

func (b stuckBody) Close() error {
	<-b.until
	return b.ReadCloser.Close()
}

func (s stuck) Put(ctx context.Context, key string, body io.ReadSeeker, opts backend.PutOptions) (backend.Object, error) {
	<-s.until
	return s.Store.Put(ctx, key, body, opts)
}

func (s stuck) Delete(ctx context.Context, key, version string) error {
	<-s.until
	return s.Store.Delete(ctx, key, version)
}

func (s stuck) List(ctx context.Context, prefix string) iter.Seq2[backend.Object, error] {
	return func(yield func(backend.Object, error) bool) {
		<-s.until
		s.Store.List(ctx, prefix)(yield)
	}
}

var errGivenUp = errors.New("given up")

// TestAbandonable: a call returns when its context is done, although the driver hangs.
func TestAbandonable(t *testing.T) {
	data := []byte("data")
	for name, call := range map[string]func(context.Context, backend.Store) error{
		"get": func(ctx context.Context, s backend.Store) error {
			_, _, err := s.Get(ctx, "key", backend.Range{})
			return err
		},
		"get body": func(ctx context.Context, s backend.Store) error {
			body, _, err := s.Get(ctx, "body", backend.Range{})
			if err != nil {
				return err // it had to wait for another one
			}
			defer body.Close()
			_, err = io.ReadAll(body)
			return err
		},
		"put": func(ctx context.Context, s backend.Store) error {
			_, err := s.Put(ctx, "key", bytes.NewReader(data), backend.OptionsOf(data))
			return err
		},
		"delete": func(ctx context.Context, s backend.Store) error { return s.Delete(ctx, "key", "") },
		"list": func(ctx context.Context, s backend.Store) (last error) {
			for _, err := range s.List(ctx, "") {
				last = err
			}
			return last
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				memory := backendtest.Memory()
				backendtest.PutBytes(t, memory, "key", data)
				backendtest.PutBytes(t, memory, "body", data)
				until := make(chan struct{})
				s := backend.Abandonable(stuck{memory, until}, 2)
				var gone []chan error
				for range 3 { // the third has to wait for one of the others
					ctx, cancel := context.WithCancelCause(t.Context())
					ended := make(chan error, 1)
					go func() { ended <- call(ctx, s) }()
					synctest.Wait()
					if len(ended) > 0 {
						t.Fatalf("it does not wait: %v", <-ended)
					}
					cancel(errGivenUp)
					gone = append(gone, ended)
				}
				synctest.Wait() // durably blocked is what the driver still does, and nothing else
				for _, ended := range gone {
					select {
					case err := <-ended:
						op, _, _ := strings.Cut(name, " ")
						if !errors.Is(err, errGivenUp) || !strings.HasPrefix(err.Error(), op) {
							t.Errorf("%v, want one that says %s and why", err, op)
						}
					default:
						t.Error("it goes on waiting")
					}
				}
				close(until)
				synctest.Wait()
				backendtest.PutBytes(t, s, "key", data) // there is room again
			})
		})
	}
}

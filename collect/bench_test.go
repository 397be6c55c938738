package collect_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"iter"
	"log/slog"
	"testing"
	"time"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/collect"
)

// endless is a store that lists n entry objects, of which every second one is old, and
// holds nothing.
type endless struct {
	backend.Store
	n int
}

func (s endless) List(_ context.Context, prefix string) iter.Seq2[backend.Object, error] {
	return func(yield func(backend.Object, error) bool) {
		now := time.Now()
		for i := range s.n {
			sum := sha256.Sum256(fmt.Append(nil, i))
			id := hex.EncodeToString(sum[:])
			age := time.Duration(i%2) * 40 * day
			obj := backend.Object{Key: "v1/main/a/" + id[:2] + "/" + id, Size: 1000, Version: "1", Written: now.Add(-age - time.Duration(i)*time.Second), Listed: now}
			if prefix == "v1/" && !yield(obj, nil) {
				return
			}
		}
	}
}

func (endless) Delete(context.Context, string, string) error { return nil }

// BenchmarkRun collects a hundred thousand and a million objects: the memory does not grow.
func BenchmarkRun(b *testing.B) {
	for _, n := range []int{100_000, 1_000_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			for b.Loop() {
				r, err := collect.Run(b.Context(), collect.Config{
					MaxAge: 30 * day, Log: slog.New(slog.DiscardHandler), Planned: func(int) {}, Done: func() {},
				}, endless{n: n})
				if err != nil || r.Entries < n/2 {
					b.Fatalf("%+v, %v", r, err)
				}
			}
		})
	}
}

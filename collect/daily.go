package collect

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"strconv"
	"strings"
	"time"

	"github.com/larderbuild/larder/backend"
)

const (
	// dailyKey is the key of the object that says when Daily was last called, in Unix
	// seconds by its caller's clock. It lies in no scope.
	dailyKey = "v1/@gc"

	day = 24 * time.Hour

	// maxGap is by how much a call takes everything to have aged since the last one, at most.
	maxGap = 3 * day
)

// Daily calls Run, unless that was done within the last day, by this machine or another one.
// It reports whether it did.
//
// One machine with a wrong clock takes nothing away from the others. So the first call, and
// one whose clock is behind that of the last one, only notes its time. If a clock is ahead of
// the last one by more than maxGap, objects count as younger by what is more.
func Daily(ctx context.Context, cfg Config, store backend.Store) (r Result, ran bool, err error) {
	last, version, err := lastCall(ctx, store)
	if err != nil {
		return Result{}, false, err
	}
	if version == "" && isEmpty(ctx, store) { // and may not even exist
		return Result{}, false, nil
	}
	now := time.Now()
	gap := now.Sub(last) // as much as a Duration holds if there was no call
	if gap.Abs() < day {
		return Result{}, false, nil
	}
	text := fmt.Appendf(nil, "%d\n", now.Unix())
	opts := backend.OptionsOf(text)
	opts.If = backend.Condition{Absent: version == "", Version: version}
	_, err = store.Put(ctx, dailyKey, bytes.NewReader(text), opts)
	if errors.Is(err, backend.ErrConflict) { // another machine was faster
		return Result{}, false, nil
	}
	if err != nil || last.IsZero() || gap < 0 {
		return Result{}, false, err
	}
	r, err = Run(ctx, cfg, behind{store, max(0, gap-maxGap)})
	return r, true, err
}

// behind is a store whose clock is behind by some time.
type behind struct {
	backend.Store
	by time.Duration
}

func (b behind) List(ctx context.Context, prefix string) iter.Seq2[backend.Object, error] {
	return func(yield func(backend.Object, error) bool) {
		for obj, err := range b.Store.List(ctx, prefix) {
			obj.Listed = obj.Listed.Add(-b.by)
			if !yield(obj, err) {
				return
			}
		}
	}
}

// isEmpty reports whether nothing of larder's can be listed in store.
func isEmpty(ctx context.Context, store backend.Store) bool {
	for _, err := range store.List(ctx, "v1/") {
		return err != nil
	}
	return true
}

// lastCall returns when Daily was last called, or a zero time if that is not known, and the
// version of the object that says so: empty if there is none.
func lastCall(ctx context.Context, store backend.Store) (last time.Time, version string, err error) {
	body, obj, err := store.Get(ctx, dailyKey, backend.Range{})
	if errors.Is(err, backend.ErrNotFound) {
		return last, "", nil
	}
	if err != nil {
		return last, "", err
	}
	defer body.Close()
	text, err := io.ReadAll(io.LimitReader(body, 64))
	if err != nil {
		return last, "", err
	}
	if seconds, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64); err == nil {
		last = time.Unix(seconds, 0)
	}
	return last, obj.Version, nil
}

package collect

import (
	"bytes"
	"context"
	"crypto/md5"
	"errors"
	"fmt"
	"io"
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

	// maxGap is how long ago the last call may be for this machine's clock to be believed.
	maxGap = 3 * day
)

// Daily calls Run, unless that was done within the last day, by this machine or another one.
// It reports whether it did.
//
// A clock that differs much from that of the last call is not believed: Daily notes it, and
// does nothing. If the next call's clock agrees with it, it was right. So one machine with a
// wrong clock takes nothing away from the others.
func Daily(ctx context.Context, cfg Config, store backend.Store) (r Result, ran bool, err error) {
	last, version, err := lastCall(ctx, store)
	if err != nil {
		return Result{}, false, err
	}
	if version == "" && isEmpty(ctx, store) { // and may not even exist
		return Result{}, false, nil
	}
	now := time.Now()
	gap := now.Sub(last)
	if gap.Abs() < day {
		return Result{}, false, nil
	}
	text := fmt.Appendf(nil, "%d\n", now.Unix())
	_, err = store.Put(ctx, dailyKey, bytes.NewReader(text), backend.PutOptions{
		Size: int64(len(text)), MD5: md5.Sum(text), If: backend.Condition{Absent: version == "", Version: version},
	})
	if errors.Is(err, backend.ErrConflict) { // another machine was faster
		return Result{}, false, nil
	}
	believed := version == "" || gap > 0 && gap < maxGap
	if err != nil || !believed {
		return Result{}, false, err
	}
	r, err = Run(ctx, cfg, store)
	return r, true, err
}

// isEmpty reports whether nothing of larder's can be listed in store.
func isEmpty(ctx context.Context, store backend.Store) bool {
	for _, err := range store.List(ctx, "v1/") {
		return err != nil
	}
	return true
}

// lastCall returns when Daily was last called, and the version of the object that says so:
// empty if there is none.
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
	seconds, _ := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64) // what is no number was long ago
	return time.Unix(seconds, 0), obj.Version, nil
}

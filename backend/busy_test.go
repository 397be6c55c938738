package backend_test

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/larderbuild/larder/backend"
)

func TestRetryAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := func(d time.Duration) string { return time.Now().Add(d).UTC().Format(http.TimeFormat) }
		for value, want := range map[string]time.Duration{
			"":              0,
			"soon":          0,
			"-1":            0,
			"7":             7 * time.Second,
			"70000":         65535 * time.Second,
			in(time.Minute): time.Minute,
			in(-time.Hour):  0,
		} {
			if got := backend.RetryAfter(http.Header{"Retry-After": {value}}); got != want {
				t.Errorf("%q asks to wait %v, want %v", value, got, want)
			}
		}
	})
}

package cli

import (
	"context"
	"log/slog"
	"time"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/backend/open"
)

const connections = 64 // requests under way at once

var (
	// A remote that stumbles for longer than Window is asked only now and then.
	breaker = backend.Breaker{Faults: 5, Window: 4 * time.Second, Cooldown: 5 * time.Second}

	// Most stumbles of a store are over within Patience, and what waits for them
	// is still of use then.
	retry = backend.Retry{Backoff: 200 * time.Millisecond, MaxBackoff: 5 * time.Second, Patience: 30 * time.Second}
)

// openRemote returns the store at url, in the decorators that every store gets. It
// opens nothing: the first use does. The caller has checked the URL.
func openRemote(url string, s settings, counters *backend.Counters, log *slog.Logger) backend.Store {
	store := retrying(backend.WithBreaker(openDriver(url, s, counters, log), breaker))
	if !s.writes() {
		store = backend.ReadOnly(store)
	}
	return store
}

// openUnguarded is openRemote for larder gc: that one scope denies access says nothing of the
// others. Nor does it matter who may sign what: nothing is written.
func openUnguarded(url string, s settings, counters *backend.Counters, log *slog.Logger) backend.Store {
	return retrying(openDriver(url, s, counters, log))
}

// retrying returns store with what comes between it and its callers.
func retrying(store backend.Store) backend.Store {
	return backend.WithRetry(backend.WithLimit(store, connections), retry)
}

// openDriver returns the store at url, whose requests are counted and limited in time.
func openDriver(url string, s settings, counters *backend.Counters, log *slog.Logger) backend.Store {
	store := backend.Deferred(open.Traits(url), func(ctx context.Context) (backend.Store, error) { return open.Store(ctx, url) })
	if s.latency > 0 {
		store = backend.WithLatency(store, s.latency)
	}
	if s.bandwidth > 0 {
		store = backend.WithBandwidth(store, s.bandwidth)
	}
	if log.Enabled(context.Background(), slog.LevelDebug) {
		store = backend.WithLog(store, func(r backend.Record) {
			log.Debug(r.String(), "took", r.Duration.Round(time.Microsecond))
		})
	}
	store = backend.WithCounters(store, counters)
	return backend.WithTimeout(store, s.timeout)
}

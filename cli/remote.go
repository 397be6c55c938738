package cli

import (
	"context"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/backend/open"
	"github.com/larderbuild/larder/cache"
	"github.com/larderbuild/larder/localdisk"
	"github.com/larderbuild/larder/session"
)

const (
	connections     = 64 // requests under way at once
	attempts        = 3
	backoff         = 100 * time.Millisecond
	faultsToBreak   = 5
	breakerCooldown = 5 * time.Second
)

// target returns where this session's work goes, as it stands in the journals.
func (s settings) target() session.Target {
	target := session.Target{Remote: s.remote, Scope: s.scope, Read: s.readScopes}
	if s.prefetch {
		target.Profile = s.profileHere()
	}
	return target
}

// engine returns what every command tells the engine.
func (s settings) engine(local *localdisk.Dir, stats *cache.Stats, log *slog.Logger) cache.Config {
	return cache.Config{Local: local, Policy: s.policy, MaxObject: s.maxObject, Stats: stats, Log: log}
}

// openRemote returns the store at url, which was checked, with all that every
// store shares. Nothing is opened before its first use.
func openRemote(url string, s settings, counters *backend.Counters, log *slog.Logger) backend.Store {
	store := backend.Lazy(func(ctx context.Context) (backend.Store, error) { return open.Store(ctx, url) })
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
	store = backend.WithTimeout(store, s.timeout)
	store = backend.WithBreaker(store, backend.Breaker{Faults: faultsToBreak, Cooldown: breakerCooldown})
	store = backend.WithLimit(store, connections)
	store = backend.WithRetry(store, attempts, backoff)
	if !s.writes() {
		store = backend.ReadOnly(store)
	}
	return store
}

// promoteCredentials lets LARDER_AWS_X stand for AWS_X, and likewise for
// Google's, in this process alone: a test that the go command runs beside it
// does not inherit what larder may do.
func promoteCredentials() {
	for _, pair := range os.Environ() {
		name, value, _ := strings.Cut(pair, "=")
		plain, ours := strings.CutPrefix(name, "LARDER_")
		if ours && (strings.HasPrefix(plain, "AWS_") || plain == "GOOGLE_APPLICATION_CREDENTIALS") {
			_ = os.Setenv(plain, value) // fails only for names that can't be in Environ
		}
	}
}

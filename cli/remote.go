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
)

const (
	connections     = 64 // requests under way at once
	attempts        = 3
	backoff         = 100 * time.Millisecond
	faultsToBreak   = 5
	breakerCooldown = 5 * time.Second
)

// parts are what the commands that use the engine put together.
type parts struct {
	settings
	local *localdisk.Dir
	stats *cache.Stats
	log   *slog.Logger
}

// newParts returns the parts with the local tier of s.
func (p *program) newParts(s settings) (parts, error) {
	local, err := openLocal(s.dir)
	return parts{s, local, new(cache.Stats), newLog(p.stderr, s.logLevel)}, err
}

// config returns what every function of the engine has to know.
func (p parts) config() cache.Config {
	return cache.Config{Local: p.local, Policy: p.policy, MaxObject: p.maxObject, Stats: p.stats, Log: p.log}
}

// store returns the store at url, and counts its requests.
func (p parts) store(url string) backend.Store {
	return openRemote(url, p.settings, &p.stats.Remote, p.log)
}

// openRemote returns the store at url, in the decorators that every store gets. It
// opens nothing: the first use does. The caller has checked the URL.
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

// promoteCredentials sets AWS_X to the value of each LARDER_AWS_X, and does the same
// for Google's variable. It changes this process alone: a test that the go command
// runs does not inherit larder's credentials.
func promoteCredentials() {
	for _, pair := range os.Environ() {
		name, value, _ := strings.Cut(pair, "=")
		plain, ours := strings.CutPrefix(name, "LARDER_")
		if ours && (strings.HasPrefix(plain, "AWS_") || plain == "GOOGLE_APPLICATION_CREDENTIALS") {
			_ = os.Setenv(plain, value) // fails only for names that can't be in Environ
		}
	}
}

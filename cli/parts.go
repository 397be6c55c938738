package cli

import (
	"log/slog"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/cache"
	"github.com/larderbuild/larder/localdisk"
)

// parts are what a command needs to use the engine.
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

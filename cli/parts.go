package cli

import (
	"log/slog"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/cache"
	"github.com/larderbuild/larder/localdisk"
	"github.com/larderbuild/larder/session"
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

// remoteIsDown reports whether sessions have found out a moment ago that the remote does
// not answer.
func (p parts) remoteIsDown() bool {
	return p.target.Remote != "" && session.NewMemory(p.local.Path(), p.target.Remote).Known(session.Down)
}

// store returns the store at url, and counts its requests.
func (p parts) store(url string) backend.Store {
	return openRemote(url, p.settings, &p.stats.Remote, p.log)
}

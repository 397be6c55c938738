package cli

import (
	"errors"
	"fmt"
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
func (p *program) newParts(s settings) parts {
	log := newLog(p.stderr, s.logLevel)
	return parts{s, openLocal(s.dir, log), new(cache.Stats), log}
}

// locals returns the folders of the local tier that can be written, each as the local
// tier with the other one behind it.
func (p parts) locals() []*localdisk.Dir {
	locals := []*localdisk.Dir{p.local}
	if spare := p.local.Spare(); spare != nil && spare.CheckWritable() == nil {
		locals = append(locals, spare)
	}
	return locals
}

// stranded returns an error if sessions have left uploads in a folder of the local tier that
// can't be written any more.
func (p parts) stranded() error {
	spare := p.local.Spare()
	if spare == nil {
		return nil
	}
	flaw := spare.CheckWritable()
	if flaw == nil {
		return nil
	}
	n, err := session.Uploads(spare.Path())
	if n > 0 {
		err = fmt.Errorf("%d uploads are left in %s, which can't be written: %w", n, spare.Path(), reason(flaw))
	}
	return err
}

// eachLocal calls f with what config returns for each of the local tier's folders, and
// returns all errors.
func (p parts) eachLocal(f func(cache.Config) error) error {
	var errs []error
	for _, local := range p.locals() {
		cfg := p.config()
		cfg.Local = local
		errs = append(errs, f(cfg))
	}
	return errors.Join(errs...)
}

// config returns what every function of the engine has to know.
func (p parts) config() cache.Config {
	return cache.Config{
		Local:     p.local,
		Policy:    p.policy,
		MaxObject: p.maxObject,
		MaxSize:   p.maxSize,
		PacksOnly: p.objects == objectsNone,
		Stats:     p.stats,
		Log:       p.log,
	}
}

// remoteIsDown reports whether sessions have found out a moment ago that the remote does
// not answer.
func (p parts) remoteIsDown() bool {
	return p.target.Remote != "" && session.NewMemory(p.local.Path(), p.target.Remote).Known(session.Down)
}

// lingers reports whether a process in the background does now what sessions have left.
func (p parts) lingers() bool { return p.close != closeDefer && !p.remoteIsDown() }

// isDenied reports whether processes that write what was left in local have found out a
// moment ago that the remote denies that.
func (p parts) isDenied(local *localdisk.Dir) bool {
	return session.NewScopeMemory(local.Path(), p.target).Known(session.Denied)
}

// store returns the store at url, and counts its requests.
func (p parts) store(url string) backend.Store {
	return openRemote(url, p.settings, &p.stats.Remote, p.log)
}

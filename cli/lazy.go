package cli

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"slices"
	"strings"

	"github.com/larderbuild/larder/cache"
	"github.com/larderbuild/larder/gocmd"
)

// allowLazy lets the session answer with archives whose bytes are not here yet. With
// LARDER_BYTES=auto it does so only where gocmd knows that the go command does not
// read them.
func (p *program) allowLazy(cfg *cache.SessionConfig, s settings) {
	if s.bytes == bytesEager {
		return
	}
	log := cfg.Log
	command, err := gocmd.Parent()
	if err == nil {
		err = command.HeadsOnly()
	}
	if err != nil {
		log.Info("not known to do without archives", "why", err)
		if s.bytes == bytesAuto {
			return
		}
	} else {
		cfg.Command, cfg.Links = command.ID(), command.Links()
	}
	cfg.Lazy = &cache.Lazy{
		Rebuild: func(ctx context.Context) error { return p.rebuild(ctx, command, s.dir) },
		Abandon: func(reason error) {
			// The go command ends when its helper's output does. So a person has to
			// be told, whoever has started the go command.
			newLog(p.stderr, slog.LevelError).Error("this build relies on archives that can't be fetched. Run it again, or set LARDER_BYTES=eager")
			log.Info("the build is given up", "err", reason)
			_ = p.stdout.Close()
		},
	}
}

// rebuild runs the go command without a remote. It compiles what command compiles,
// and puts it into the local tier of dir.
func (p *program) rebuild(ctx context.Context, command gocmd.Command, dir string) error {
	args, err := command.Rebuild()
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	helper, err := gocmd.QuoteField(self)
	if err != nil {
		return fmt.Errorf("GOCACHEPROG: %w", err)
	}
	var stderr strings.Builder
	cmd := exec.CommandContext(ctx, command.Exe, args...)
	cmd.Dir = command.Dir
	cmd.Env = slices.Concat(p.environ, []string{
		"GOCACHEPROG=" + helper,
		"LARDER_DIR=" + dir,
		"LARDER_REMOTE=",
		"LARDER_STATS=0",
		"LARDER_RECORD=",
	})
	cmd.Stderr = &stderr
	if err := cmd.Run(); err != nil {
		// The arguments stay out of the log: -ldflags may hold a secret.
		return fmt.Errorf("%s %s: %w: %s", command.Exe, args[0], err, strings.TrimSpace(stderr.String()))
	}
	return nil
}

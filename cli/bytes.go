package cli

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"github.com/larderbuild/larder/cache"
	"github.com/larderbuild/larder/gocmd"
	"github.com/larderbuild/larder/localdisk"
)

// onDemand has the session do without the bytes of archives that are not read,
// where that is known to be safe.
func (p *program) onDemand(cfg *cache.SessionConfig, s settings) {
	if s.bytes == bytesEager || s.remote == "" {
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
		Rebuild: func(ctx context.Context) error { return rebuild(ctx, command, cfg.Local) },
		Abandon: func(reason error) {
			// The go command takes the end of its helper's output for the
			// helper's death, and ends, too.
			log.Error(fmt.Sprintf("this build relies on archives that can't be fetched: %v; run it again, or set LARDER_BYTES=eager", reason))
			_ = p.stdout.Close()
		},
	}
}

// rebuild has the go command compile, into the local tier and without a remote,
// what command compiles.
func rebuild(ctx context.Context, command gocmd.Command, local *localdisk.Dir) error {
	args, err := command.Rebuild()
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	if strings.ContainsAny(self, " \t\n'\"") {
		self = fmt.Sprintf("%q", self)
	}
	var said strings.Builder
	cmd := exec.CommandContext(ctx, command.Exe, args...)
	cmd.Dir = command.Dir
	cmd.Env = append(os.Environ(),
		"GOCACHEPROG="+self,
		"LARDER_DIR="+local.Path(),
		"LARDER_REMOTE=",
		"LARDER_STATS=0",
		"LARDER_RECORD=",
	)
	cmd.Stderr = &said
	if err := cmd.Run(); err != nil {
		// Without the arguments: -ldflags may hold what is not for the log.
		return fmt.Errorf("%s %s: %w: %s", command.Exe, args[0], err, strings.TrimSpace(said.String()))
	}
	return nil
}

package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os/exec"
	"path/filepath"
	"time"

	urfave "github.com/urfave/cli/v3"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/cache"
	"github.com/larderbuild/larder/localdisk"
	"github.com/larderbuild/larder/session"
)

// larder restore and larder save are steps of a CI job. Both work on the go command's
// own cache, and must not make the job fail because of the remote.

// stepHelp is the end of the descriptions of both.
const stepHelp = "\n\nMeant as a step of a CI job: where the remote can't be used, it says so in one line and\n" +
	"exits with 0, or with 1 if there is --strict. It exits with 2 for wrong options in any case."

func stepFlags() []urfave.Flag {
	return []urfave.Flag{
		jsonFlag(),
		&urfave.StringFlag{Name: "cache", Usage: "`FOLDER` of the go command's cache (default: what go env GOCACHE says)"},
		&urfave.DurationFlag{Name: "max-time", Value: 5 * time.Minute, Usage: "how long it may take; 0: no limit"},
		&urfave.BoolFlag{Name: "strict", Usage: "exit with 1 where the remote can't be used"},
	}
}

var (
	errNoRemote  = errors.New("no remote is set (LARDER_REMOTE)")
	errNoProfile = errors.New("no go.mod or go.work here or above: a profile belongs to a module or a workspace")
	errTimeIsUp  = errors.New("the time of --max-time is up")
)

// step calls run with the go command's cache as the local tier, and with the remote.
// run fills result, which step then prints. An error of the remote is one of the
// command only with --strict.
func (p *program) step(ctx context.Context, cmd *urfave.Command, s settings, result fmt.Stringer, run func(context.Context, parts, backend.Store) error) error {
	log := newLog(p.stderr, s.logLevel)
	dir, err := goCache(ctx, cmd, log)
	if err != nil {
		return err
	}
	if s.target.Profile == (session.Profile{}) {
		return &usageError{errNoProfile, "run it in the folder of the module or the workspace"}
	}
	if s.target.Remote == "" {
		err = errNoRemote
	} else {
		with := parts{s, localdisk.New(dir), new(cache.Stats), log}
		store := with.store(s.target.Remote)
		err = withinMaxTime(ctx, cmd, func(ctx context.Context) error { return run(ctx, with, store) })
		err = errors.Join(err, store.Close())
		if errSweep := cache.Sweep(with.local, s.maxAge); errSweep != nil {
			log.Info("remove what is no longer needed", "err", errSweep)
		}
	}
	if err == nil || cmd.Bool("json") || errors.Is(err, errTimeIsUp) {
		if err := p.print(cmd, result); err != nil {
			return err
		}
	}
	if err == nil || cmd.Bool("strict") || ctx.Err() != nil {
		return err
	}
	log.Error(fmt.Sprintf("%s: %v", cmd.Name, err))
	return nil
}

// withinMaxTime calls run with a context that ends after --max-time.
func withinMaxTime(ctx context.Context, cmd *urfave.Command, run func(context.Context) error) error {
	if limit := cmd.Duration("max-time"); limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, limit, errTimeIsUp)
		defer cancel()
	}
	return run(ctx)
}

// goCache returns the folder of the go command's cache: that of --cache, or the one
// that the go command names.
func goCache(ctx context.Context, cmd *urfave.Command, log *slog.Logger) (string, error) {
	if dir := cmd.String("cache"); dir != "" {
		return filepath.Abs(dir)
	}
	out, err := exec.CommandContext(ctx, "go", "env", "-json", "GOCACHE", "GOCACHEPROG").Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			err = fmt.Errorf("%w: %s", err, bytes.TrimSpace(exit.Stderr))
		}
		return "", &usageError{fmt.Errorf("go env GOCACHE: %w", err), "--cache names the folder without asking the go command"}
	}
	var env struct{ GOCACHE, GOCACHEPROG string }
	if err := json.Unmarshal(out, &env); err != nil {
		return "", fmt.Errorf("go env GOCACHE: %w", err)
	}
	if !filepath.IsAbs(env.GOCACHE) {
		return "", &usageError{fmt.Errorf("GOCACHE is %q, which is no folder", env.GOCACHE), "--cache names another"}
	}
	if env.GOCACHEPROG != "" {
		log.Warn(fmt.Sprintf("GOCACHEPROG is %q: builds ask that helper, and not the cache in %s", env.GOCACHEPROG, env.GOCACHE))
	}
	return env.GOCACHE, nil
}

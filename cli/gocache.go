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

	"github.com/urfave/cli/v3"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/cache"
	"github.com/larderbuild/larder/localdisk"
	"github.com/larderbuild/larder/session"
)

// What larder restore and larder save share: both work on a GOCACHE, as steps
// of a CI job that must not fail because of a cache.

// stepHelp ends their descriptions.
const stepHelp = "\n\nMeant as a step of a CI job: where the remote can't be used, it says so in one line and\n" +
	"exits with 0, unless --strict makes that a failure. Wrong options exit with 2 in any case."

func stepFlags() []cli.Flag {
	return []cli.Flag{
		jsonFlag(),
		&cli.StringFlag{Name: "cache", Usage: "`FOLDER` of the go command's cache (default: what go env GOCACHE says)"},
		&cli.DurationFlag{Name: "max-time", Value: 5 * time.Minute, Usage: "how long it may take; 0: as long as it does"},
		&cli.BoolFlag{Name: "strict", Usage: "exit with 1 where the remote can't be used"},
	}
}

var (
	errNoRemote  = errors.New("no remote is set (LARDER_REMOTE)")
	errNoProfile = errors.New("no go.mod here or above: what is kept is kept for a module")
	errTimeIsUp  = errors.New("the time of --max-time is up")
)

// step is one run of larder restore or larder save.
type step struct {
	local  *localdisk.Dir
	target session.Target
	store  backend.Store
	stats  *cache.Stats
	log    *slog.Logger
}

// step has run fill result, prints it, and decides what an error of the remote
// means for the job.
func (p *program) step(ctx context.Context, cmd *cli.Command, s settings, result fmt.Stringer, run func(context.Context, step) error) error {
	log := newLog(p.stderr, s.log)
	dir, err := goCache(ctx, cmd, log)
	if err != nil {
		return err
	}
	st := step{local: localdisk.New(dir), target: s.target(), stats: new(cache.Stats), log: log}
	if st.target.Profile == (session.Profile{}) {
		return &usageError{errNoProfile, "run it in the module's folder"}
	}
	if s.remote == "" {
		err = errNoRemote
	} else {
		st.store = openRemote(s.remote, s, &st.stats.Remote, log)
		err = inTime(ctx, cmd, func(ctx context.Context) error { return run(ctx, st) })
		err = errors.Join(err, st.store.Close())
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

// inTime runs run, within --max-time.
func inTime(ctx context.Context, cmd *cli.Command, run func(context.Context) error) error {
	if limit := cmd.Duration("max-time"); limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, limit, errTimeIsUp)
		defer cancel()
	}
	return run(ctx)
}

// goCache returns the folder of the go command's cache: the one of --cache, or
// what the go command here says.
func goCache(ctx context.Context, cmd *cli.Command, log *slog.Logger) (string, error) {
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

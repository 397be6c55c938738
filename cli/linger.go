package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	urfave "github.com/urfave/cli/v3"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/cache"
	"github.com/larderbuild/larder/localdisk"
	"github.com/larderbuild/larder/session"
)

// maxLog is the size in bytes of the longest log of the background that goes on.
const maxLog = 1 << 20

// linger starts a process in the background if the session has left work to do. That
// process shares nothing with the caller: the go command returns, and so does a
// program that reads its output through a pipe. The journal tells the process what
// to do.
func (p *program) linger(with parts, left bool) {
	trimDue, err := with.local.TrimDue()
	if err != nil {
		with.log.Info("trim the local tier", "err", err)
	}
	due := with.lingers() && (left || abandoned(with))
	if !due && !trimDue {
		return
	}
	if err := p.startLingering(with.local, trimDue); err != nil {
		with.log.Warn(fmt.Sprintf("start the background process: %v; larder flush does its work", err))
	}
}

// abandoned reports whether other sessions have left work to do for a process with these
// settings, which the remote does not deny.
func abandoned(with parts) bool {
	if with.target.Remote == "" || !with.writes() {
		return false
	}
	return slices.ContainsFunc(with.locals(), func(local *localdisk.Dir) bool {
		if with.isDenied(local) {
			return false
		}
		found, err := session.Abandoned(local.Path(), with.target, with.policy.Key != nil)
		if err != nil {
			with.log.Info("look for abandoned sessions", "err", err)
		}
		return found
	})
}

func (p *program) startLingering(local *localdisk.Dir, trim bool) error {
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	file, err := openLog(logPath(local))
	if err != nil {
		return err
	}
	defer file.Close()
	args := slices.Concat(p.args, []string{"linger"})
	if trim {
		args = append(args, "--trim")
	}
	cmd := exec.CommandContext(context.Background(), exe, args...)
	cmd.Dir = backgroundFolder(os.Environ(), filepath.VolumeName(exe)+string(filepath.Separator))
	cmd.Stdout, cmd.Stderr = file, file
	detach(cmd)
	if err := cmd.Start(); err != nil {
		return err
	}
	return cmd.Process.Release()
}

// openLog opens the log of the background for appending. A log longer than maxLog
// begins anew.
func openLog(path string) (*os.File, error) {
	flags := os.O_WRONLY | os.O_CREATE | os.O_APPEND
	if info, err := os.Stat(path); err == nil && info.Size() > maxLog {
		flags |= os.O_TRUNC
	}
	return os.OpenFile(path, flags, 0o600)
}

// lingerCommand returns the command that startLingering runs.
func (p *program) lingerCommand() *urfave.Command {
	return &urfave.Command{
		Name:   "linger",
		Usage:  "finish what a session left to do, in the background",
		Hidden: true,
		Flags:  []urfave.Flag{&urfave.BoolFlag{Name: "trim", Usage: "trim the local tier, too"}},
		Action: p.action(func(ctx context.Context, cmd *urfave.Command, s settings) error {
			ctx, cancel := context.WithTimeoutCause(ctx, s.linger, errors.New("LARDER_LINGER is over"))
			defer cancel()
			with := p.newParts(s)
			err := lingerUploads(ctx, with)
			if cmd.Bool("trim") {
				_, _, errTrim := trim(with)
				err = errors.Join(err, errTrim)
			}
			return errors.Join(err, collectDaily(ctx, with))
		}),
	}
}

// lingerUploads does what is left for the remote and scope of these settings.
func lingerUploads(ctx context.Context, with parts) error {
	if with.target.Remote == "" || !with.lingers() {
		return nil
	}
	return with.eachLocal(func(cfg cache.Config) error {
		if !settle(ctx, cfg.Local, with.target) {
			return nil
		}
		return cache.Flush(ctx, cache.FlushConfig{
			Config:   cfg,
			Open:     func(t session.Target) (backend.Store, error) { return with.store(t.Remote), nil },
			Only:     &with.target,
			ReadOnly: !with.writes() || with.isDenied(cfg.Local),
		})
	})
}

const (
	// settling is for how long no build must have been under way before a process in the
	// background begins. A script begins its next go command sooner.
	settling = 300 * time.Millisecond

	// longestSettling is how long such a process waits for that.
	longestSettling = 30 * time.Second

	settlingInterval = 50 * time.Millisecond
)

// settle returns once no build has been under way in local for a moment. So what the go
// commands of a script leave is uploaded and published at once, not once for each. settle
// reports whether there is something to do. There is not if another process waits already.
func settle(ctx context.Context, local *localdisk.Dir, target session.Target) bool {
	release, ok := session.NewScopeMemory(local.Path(), target).Claim(session.Settling)
	if !ok {
		return false
	}
	defer release()
	begun, quiet := time.Now(), time.Now()
	for time.Since(quiet) < settling && time.Since(begun) < longestSettling {
		select {
		case <-ctx.Done():
			return false
		case <-time.After(settlingInterval):
		}
		if session.Building(local.Path()) {
			quiet = time.Now()
		}
	}
	// A key is asked for by whoever does the work, which says so if there is none.
	left, err := session.Abandoned(local.Path(), target, true)
	return left || err != nil
}

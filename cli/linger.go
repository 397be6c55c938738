package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"

	"github.com/urfave/cli/v3"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/cache"
	"github.com/larderbuild/larder/localdisk"
	"github.com/larderbuild/larder/session"
)

// maxLog is the size in bytes at which the background's log is begun anew.
const maxLog = 1 << 20

// linger leaves what is still to be done after a session to a process of its
// own, which shares nothing with the caller: the go command returns, and so
// does whoever reads its output through a pipe. Nothing but the journal goes
// from the one to the other.
func (p *program) linger(s settings, local *localdisk.Dir, left bool, log *slog.Logger) {
	due, err := local.TrimDue()
	if err != nil {
		log.Info("trim the local tier", "err", err)
	}
	if !left && !due && !abandoned(s, local, log) {
		return
	}
	if err := p.startLingering(local, due); err != nil {
		log.Warn(fmt.Sprintf("start the background process: %v; larder flush does its work", err))
	}
}

// abandoned reports whether a session that was killed has left something to do
// for a process that works with these settings.
func abandoned(s settings, local *localdisk.Dir, log *slog.Logger) bool {
	if s.remote == "" || !s.writes() {
		return false
	}
	found, err := session.Abandoned(local.Path(), s.target())
	if err != nil {
		log.Info("look for abandoned sessions", "err", err)
	}
	return found
}

func (p *program) startLingering(local *localdisk.Dir, trim bool) error {
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	file, err := openLog(filepath.Join(local.Path(), "larder", "log"))
	if err != nil {
		return err
	}
	defer file.Close()
	args := slices.Concat(p.args, []string{"--dir=" + local.Path(), "linger"})
	if trim {
		args = append(args, "--trim")
	}
	cmd := exec.CommandContext(context.Background(), exe, args...)
	cmd.Dir = filepath.VolumeName(exe) + string(filepath.Separator)
	cmd.Stdout, cmd.Stderr = file, file
	detach(cmd)
	if err := cmd.Start(); err != nil {
		return err
	}
	return cmd.Process.Release()
}

func openLog(path string) (*os.File, error) {
	flags := os.O_WRONLY | os.O_CREATE | os.O_APPEND
	if info, err := os.Stat(path); err == nil && info.Size() > maxLog {
		flags |= os.O_TRUNC
	}
	return os.OpenFile(path, flags, 0o600)
}

// lingerCommand is what startLingering runs.
func (p *program) lingerCommand() *cli.Command {
	return &cli.Command{
		Name:   "linger",
		Usage:  "finish what a session left to do, in the background",
		Hidden: true,
		Flags:  []cli.Flag{&cli.BoolFlag{Name: "trim", Usage: "trim the local tier, too"}},
		Action: p.action(func(ctx context.Context, cmd *cli.Command, s settings) error {
			ctx, cancel := context.WithTimeoutCause(ctx, s.linger, errors.New("LARDER_LINGER is over"))
			defer cancel()
			local, err := openLocal(s.dir)
			if err != nil {
				return err
			}
			log := newLog(p.stderr, s.log)
			err = p.lingerUploads(ctx, s, local, log)
			if cmd.Bool("trim") {
				_, _, errTrim := trim(s, local)
				err = errors.Join(err, errTrim)
			}
			return err
		}),
	}
}

func (p *program) lingerUploads(ctx context.Context, s settings, local *localdisk.Dir, log *slog.Logger) error {
	if s.remote == "" {
		return nil
	}
	stats, only := new(cache.Stats), s.target()
	return cache.Flush(ctx, cache.FlushConfig{
		Config: s.engine(local, stats, log),
		Open: func(t session.Target) (backend.Store, error) {
			return openRemote(t.Remote, s, &stats.Remote, log), nil
		},
		Only:     &only,
		ReadOnly: !s.writes(),
		Bring:    true,
	})
}

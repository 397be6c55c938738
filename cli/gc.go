package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/dustin/go-humanize"
	urfave "github.com/urfave/cli/v3"

	"github.com/larderbuild/larder/backend/open"
	"github.com/larderbuild/larder/collect"
)

// collected is the result of larder gc.
type collected collect.Result

func (c collected) String() string {
	verb := "removed"
	if c.DryRun {
		verb = "would remove"
	}
	return fmt.Sprintf("%s %d objects, %s: %d manifests, %d packs, %d entry objects; %d objects, %s left",
		verb, collect.Result(c).Objects(), humanize.IBytes(uint64(c.Bytes)), c.Manifests, c.Packs, c.Entries,
		c.ObjectsLeft, humanize.IBytes(uint64(max(0, c.BytesLeft))))
}

func (p *program) gcCommand() *urfave.Command {
	return &urfave.Command{
		Name:  "gc",
		Usage: "remove from the remote what nobody needs any more",
		Description: "Removes manifests and entry objects that nobody has written for LARDER_REMOTE_MAX_AGE, in\n" +
			"the scopes pr-…, branch-… and event-… for a week at most, and packs that no manifest names.\n" +
			"Packs and entry objects of the last day stay. Builds may go on meanwhile. It needs the right\n" +
			"to list, read and delete. Exits with 1 if something could not be removed.",
		Flags: []urfave.Flag{
			jsonFlag(),
			&urfave.BoolFlag{Name: "dry-run", Usage: "remove nothing, and say what would go"},
			&urfave.StringFlag{Name: "max-size", Usage: "go on until no more than `SIZE` is left, such as 50GiB; what was not used for the longest time goes first; 0: no limit (default: LARDER_REMOTE_MAX_SIZE for a file:// remote, otherwise 0)"},
		},
		Action: p.action(p.gc),
	}
}

var errGCReadOnly = errors.New("the remote is read-only here (LARDER_READONLY), so nothing is removed")

func (p *program) gc(ctx context.Context, cmd *urfave.Command, s settings) error {
	switch {
	case s.target.Remote == "":
		return &usageError{errNoRemote, "set LARDER_REMOTE to the URL of the store"}
	case open.Traits(s.target.Remote).Unlisted:
		return fmt.Errorf("%s can't list what it has, so nobody but it can remove what is not needed any more", open.Redact(s.target.Remote))
	case s.readOnly:
		return errGCReadOnly
	}
	with := p.newParts(s)
	cfg := with.collection()
	cfg.DryRun = cmd.Bool("dry-run")
	if size := cmd.String("max-size"); size != "" {
		if err := parseSize(&cfg.MaxSize, size); err != nil {
			return &usageError{fmt.Errorf("--max-size is %q: %w", size, err), "larder gc --help lists its options"}
		}
	}
	bar := p.newBar("removing")
	progress := countEntries(bar)
	cfg.Planned = func(objects int) { progress.Planned(objects, 0) }
	cfg.Done = func() { progress.Done(0) }
	store := openUnguarded(s.target.Remote, s, &with.stats.Remote, with.log)
	result, err := collect.Run(ctx, cfg, store)
	_ = bar.Clear()
	err = errors.Join(err, store.Close())
	if err != nil && result.Objects() == 0 && !cmd.Bool("json") {
		return err // which says all
	}
	if errPrint := p.print(cmd, collected(result)); err == nil {
		err = errPrint
	}
	return err
}

// collection returns what is removed from the remote of these settings.
func (p parts) collection() collect.Config {
	cfg := collect.Config{MaxAge: p.remoteMaxAge, Trust: p.policy.Trust, Log: p.log, Planned: func(int) {}, Done: func() {}}
	if open.Traits(p.target.Remote).Ownerless {
		cfg.MaxSize = p.remoteMaxSize
	}
	return cfg
}

// collectDaily removes from a remote that is a directory what nobody needs any more. No
// bucket's owner does that, and every user of the directory may.
func collectDaily(ctx context.Context, with parts) error {
	if !open.Traits(with.target.Remote).Ownerless || !with.writes() || with.remoteIsDown() || with.isDenied(with.local) {
		return nil
	}
	store := openUnguarded(with.target.Remote, with.settings, &with.stats.Remote, with.log)
	result, ran, err := collect.Daily(ctx, with.collection(), store)
	if ran {
		with.log.Info(fmt.Sprintf("%s: %s", open.Redact(with.target.Remote), collected(result)))
	}
	return errors.Join(err, store.Close())
}

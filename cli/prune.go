package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/dustin/go-humanize"
	urfave "github.com/urfave/cli/v3"

	"github.com/larderbuild/larder/cache"
	"github.com/larderbuild/larder/localdisk"
	"github.com/larderbuild/larder/session"
)

// removed is the result of larder prune and larder clean.
type removed struct {
	Files     int   `json:"files"`
	Bytes     int64 `json:"bytes"`
	BytesLeft int64 `json:"bytes_left"`
	InUse     bool  `json:"in_use"` // something is left, and sessions are under way
}

func (r removed) String() string {
	text := fmt.Sprintf("removed %d files, %s; %s left", r.Files, humanize.IBytes(uint64(r.Bytes)), humanize.IBytes(uint64(r.BytesLeft)))
	if r.InUse {
		text += " for sessions under way"
	}
	return text
}

func newRemoved(t localdisk.Trimmed, since time.Time) removed {
	return removed{t.Files, t.Bytes, t.BytesLeft, t.BytesLeft > 0 && !since.IsZero()}
}

func (p *program) pruneCommand() *urfave.Command {
	return &urfave.Command{
		Name:  "prune",
		Usage: "trim the local tier now, by --max-age and --max-size",
		Description: "Entries that were used within the last hour, or since the oldest session under way\n" +
			"began, stay. Nothing in the remote changes.",
		Flags: []urfave.Flag{jsonFlag()},
		Action: p.action(func(_ context.Context, cmd *urfave.Command, s settings) error {
			local, err := openLocal(s.dir)
			if err != nil {
				return err
			}
			trimmed, since, err := trim(s, local)
			if err != nil {
				return err
			}
			return p.print(cmd, newRemoved(trimmed, since))
		}),
	}
}

// trim applies the settings' limits to the local tier. It returns when the oldest
// session under way began, or zero if there is none.
func trim(s settings, local *localdisk.Dir) (trimmed localdisk.Trimmed, since time.Time, err error) {
	if since, err = session.LiveSince(local.Path()); err != nil {
		return trimmed, since, err
	}
	session.SweepMemory(local.Path())
	trimmed, err = local.Trim(localdisk.TrimPolicy{MaxAge: s.maxAge, MaxSize: s.maxSize, KeepSince: since})
	return trimmed, since, errors.Join(err, cache.SweepWithheld(local))
}

func (p *program) cleanCommand() *urfave.Command {
	return &urfave.Command{
		Name:  "clean",
		Usage: "remove every entry of the local tier",
		Description: "Entries that sessions under way may be using stay. While uploads are left to do, larder\n" +
			"clean refuses; with --force it gives them up. Nothing in the remote changes.",
		Flags: []urfave.Flag{
			jsonFlag(),
			&urfave.BoolFlag{Name: "force", Usage: "give up uploads that are left to do"},
		},
		Action: p.action(p.clean),
	}
}

func (p *program) clean(_ context.Context, cmd *urfave.Command, s settings) error {
	local, err := openLocal(s.dir)
	if err != nil {
		return err
	}
	pending, err := session.Uploads(local.Path())
	if err != nil {
		return err
	}
	if pending > 0 && !cmd.Bool("force") {
		return &usageError{
			fmt.Errorf("%d entries in %s are still to be uploaded", pending, s.dir),
			"larder flush uploads them, larder clean --force gives them up",
		}
	}
	if err := session.Forget(local.Path()); err != nil {
		return err
	}
	since, err := session.LiveSince(local.Path())
	if err != nil {
		return err
	}
	trimmed, err := local.Clean(since)
	if err = errors.Join(err, cache.SweepWithheld(local)); err != nil {
		return err
	}
	return p.print(cmd, newRemoved(trimmed, since))
}

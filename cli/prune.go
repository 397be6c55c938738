package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
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
			trimmed, since, err := trim(p.newParts(s))
			if err != nil {
				return err
			}
			return p.print(cmd, newRemoved(trimmed, since))
		}),
	}
}

// trim applies the settings' limits to the local tier. It returns when the oldest
// session under way began, or zero if there is none.
func trim(with parts) (trimmed localdisk.Trimmed, since time.Time, err error) {
	if since, err = liveSince(with); err != nil {
		return trimmed, since, err
	}
	err = with.eachLocal(func(cfg cache.Config) error {
		t, err := trimFolder(with, cfg.Local, since)
		trimmed.Add(t)
		return err
	})
	return trimmed, since, errors.Join(err, trimPrivate(with))
}

// trimFolder trims one folder, and keeps what was used since the given time.
func trimFolder(with parts, local *localdisk.Dir, since time.Time) (localdisk.Trimmed, error) {
	trimmed, err := local.Trim(localdisk.TrimPolicy{MaxAge: with.maxAge, MaxSize: with.maxSize, KeepSince: since})
	return trimmed, errors.Join(err, cache.Sweep(local, with.maxAge))
}

// trimPrivate trims the private folders of every LARDER_DIR, and removes those that hold
// nothing any more.
func trimPrivate(with parts) error {
	own, _ := openOwn(false)
	if own == nil {
		return nil
	}
	folders, err := os.ReadDir(own.Path())
	errs := []error{err}
	for _, folder := range folders {
		if len(folder.Name()) == len(privateName("")) {
			errs = append(errs, trimPrivateFolder(with, filepath.Join(own.Path(), folder.Name())))
		}
	}
	return errors.Join(errs...)
}

// trimPrivateFolder trims the private folder at path. It removes the folder if nothing is
// left in it: no entry, no session under way, and no work that a session has left.
func trimPrivateFolder(with parts, path string) error {
	since, err := session.LiveSince(path)
	if err != nil {
		return err
	}
	trimmed, err := trimFolder(with, localdisk.New(path), since)
	left, errLeft := session.Left(path)
	if err = errors.Join(err, errLeft); err == nil && since.IsZero() && trimmed.BytesLeft == 0 && len(left) == 0 {
		err = os.RemoveAll(path)
	}
	return err
}

// liveSince returns when the oldest session under way began, or zero if there is none.
func liveSince(with parts) (oldest time.Time, err error) {
	err = with.eachLocal(func(cfg cache.Config) error {
		since, err := session.LiveSince(cfg.Local.Path())
		if oldest.IsZero() || !since.IsZero() && since.Before(oldest) {
			oldest = since
		}
		return err
	})
	return oldest, err
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
	with := p.newParts(s)
	pending := 0
	err := with.eachLocal(func(cfg cache.Config) error {
		uploads, err := session.Uploads(cfg.Local.Path())
		pending += uploads
		return err
	})
	if err != nil {
		return err
	}
	if pending > 0 && !cmd.Bool("force") {
		return &usageError{
			fmt.Errorf("%d entries in %s are still to be uploaded", pending, with.local.Path()),
			"larder flush uploads them, larder clean --force gives them up",
		}
	}
	if err := with.eachLocal(func(cfg cache.Config) error { return session.Forget(cfg.Local.Path()) }); err != nil {
		return err
	}
	since, err := liveSince(with)
	if err != nil {
		return err
	}
	var trimmed localdisk.Trimmed
	err = with.eachLocal(func(cfg cache.Config) error {
		t, err := cfg.Local.Clean(since)
		trimmed.Add(t)
		return errors.Join(err, cache.Sweep(cfg.Local, with.maxAge))
	})
	if err != nil {
		return err
	}
	return p.print(cmd, newRemoved(trimmed, since))
}

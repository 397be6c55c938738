package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/dustin/go-humanize"
	urfave "github.com/urfave/cli/v3"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/cache"
)

// saved is the result of larder save.
type saved struct {
	Used      int   `json:"used"`
	New       int   `json:"new"`
	Published bool  `json:"published"`
	Requests  int64 `json:"remote_requests"`
	BytesOut  int64 `json:"remote_bytes_out"`
}

func (r *saved) String() string {
	if !r.Published {
		return fmt.Sprintf("nothing new among the %d entries that the build used", r.Used)
	}
	return fmt.Sprintf("saved %d of the %d entries that the build used, %s", r.New, r.Used, humanize.IBytes(uint64(r.BytesOut)))
}

var errReadOnly = errors.New("nothing is saved, since the remote is read-only here (LARDER_READONLY, or LARDER_TRUST without LARDER_SIGN_KEY)")

func (p *program) saveCommand() *urfave.Command {
	return &urfave.Command{
		Name:  "save",
		Usage: "publish what the builds since larder restore used and made, for the next larder restore",
		Description: "Uploads the new entries of the go command's own cache as one pack, and a list of the\n" +
			"entries that were used. Where nothing is new, it uploads nothing. Without a larder restore\n" +
			"before it, an entry counts as used if that was within the last hour. Later builds with\n" +
			"GOCACHEPROG find these entries, too." + stepHelp,
		Flags:  stepFlags(),
		Action: p.action(p.save),
	}
}

func (p *program) save(ctx context.Context, cmd *urfave.Command, s settings) error {
	result := new(saved)
	return p.step(ctx, cmd, s, result, func(ctx context.Context, with parts, store backend.Store) error {
		if !with.writes() {
			return errReadOnly
		}
		bar := p.newBar("packing")
		cfg := with.config()
		cfg.Progress = countEntries(bar)
		counts, err := cache.Save(ctx, cfg, store, with.target)
		_ = bar.Clear()
		sum := with.stats.Summary()
		*result = saved{counts.Used, counts.New, counts.Published, sum.RemoteRequests, sum.RemoteBytesOut}
		return err
	})
}

package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/dustin/go-humanize"
	"github.com/urfave/cli/v3"

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

func (p *program) saveCommand() *cli.Command {
	return &cli.Command{
		Name:  "save",
		Usage: "publish what the builds since larder restore used and made, for the next larder restore",
		Description: "Uploads what is new in the go command's own cache as one pack, and the list of what was\n" +
			"used. Where nothing is new, nothing is uploaded. Without a larder restore before it, what\n" +
			"was used within the last hour counts. Later builds with GOCACHEPROG find it, too." + stepHelp,
		Flags: stepFlags(),
		Action: p.action(func(ctx context.Context, cmd *cli.Command, s settings) error {
			result := new(saved)
			return p.step(ctx, cmd, s, result, func(ctx context.Context, st step) error {
				if !s.writes() {
					return errReadOnly
				}
				bar := p.progress("packing")
				cfg := s.engine(st.local, st.stats, st.log)
				cfg.Progress = cache.Progress{
					Planned: func(entries int, _ int64) { bar.ChangeMax(bar.GetMax() + entries) },
					Done:    func(int64) { _ = bar.Add(1) },
				}
				found, err := cache.Save(ctx, cfg, st.store, st.target)
				_ = bar.Clear()
				remote := st.stats.Summary()
				*result = saved{found.Used, found.New, found.Published, remote.RemoteRequests, remote.RemoteBytesOut}
				return err
			})
		}),
	}
}

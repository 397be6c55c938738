package cli

import (
	"context"
	"fmt"

	"github.com/dustin/go-humanize"
	"github.com/schollz/progressbar/v3"
	urfave "github.com/urfave/cli/v3"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/cache"
)

// restored is the result of larder restore.
type restored struct {
	Entries  int64 `json:"entries"`
	Bytes    int64 `json:"bytes"` // of bodies
	Present  int64 `json:"present"`
	Failed   int64 `json:"failed"`
	Requests int64 `json:"remote_requests"`
	BytesIn  int64 `json:"remote_bytes_in"`
}

func (r *restored) String() string {
	if r.Entries+r.Present+r.Failed == 0 {
		return "nothing to restore yet"
	}
	text := fmt.Sprintf("restored %d entries, %s; %d were there", r.Entries, humanize.IBytes(uint64(r.Bytes)), r.Present)
	if r.Failed > 0 {
		text += fmt.Sprintf("; %d could not be restored", r.Failed)
	}
	return text
}

func (p *program) restoreCommand() *urfave.Command {
	return &urfave.Command{
		Name:  "restore",
		Usage: "fill the go command's own cache with what this module's last builds used",
		Description: "For builds without GOCACHEPROG: larder restore, then go build and go test as ever, then\n" +
			"larder save. Entries that the cache already has stay. Restored entries look unused for two\n" +
			"hours, so that the go command marks those that it uses." + stepHelp,
		Flags:  stepFlags(),
		Action: p.action(p.restore),
	}
}

func (p *program) restore(ctx context.Context, cmd *urfave.Command, s settings) error {
	result := new(restored)
	return p.step(ctx, cmd, s, result, func(ctx context.Context, with parts, store backend.Store) error {
		bar := p.newBar("restoring", progressbar.OptionShowBytes(true))
		cfg := with.config()
		cfg.Progress = countBytes(bar)
		counts, err := cache.Restore(ctx, cfg, store, with.target)
		_ = bar.Clear()
		sum := with.stats.Summary()
		*result = restored{counts.Entries, counts.Bytes, counts.Present, counts.Failed, sum.RemoteRequests, sum.RemoteBytesIn}
		return err
	})
}

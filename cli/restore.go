package cli

import (
	"context"
	"fmt"

	"github.com/dustin/go-humanize"
	"github.com/schollz/progressbar/v3"
	"github.com/urfave/cli/v3"

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

func (p *program) restoreCommand() *cli.Command {
	return &cli.Command{
		Name:  "restore",
		Usage: "fill the go command's own cache with what this module's last builds used",
		Description: "For builds without GOCACHEPROG: larder restore, then go build and go test as ever, then\n" +
			"larder save. What is there already stays. Restored entries look unused for two hours, so\n" +
			"that the go command leaves a trace on those that it uses." + stepHelp,
		Flags: stepFlags(),
		Action: p.action(func(ctx context.Context, cmd *cli.Command, s settings) error {
			result := new(restored)
			return p.step(ctx, cmd, s, result, func(ctx context.Context, st step) error {
				bar := p.progress("restoring", progressbar.OptionShowBytes(true))
				cfg := s.engine(st.local, st.stats, st.log)
				cfg.Progress = cache.Progress{
					Planned: func(_ int, bytes int64) { bar.ChangeMax64(bytes) },
					Done:    func(bytes int64) { _ = bar.Add64(bytes) }, // a bar that can't be drawn is no harm
				}
				counts, err := cache.Restore(ctx, cfg, st.store, st.target)
				_ = bar.Clear()
				remote := st.stats.Summary()
				*result = restored{counts.Entries, counts.Bytes, counts.Present, counts.Failed, remote.RemoteRequests, remote.RemoteBytesIn}
				return err
			})
		}),
	}
}

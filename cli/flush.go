package cli

import (
	"context"
	"fmt"
	"io"

	"github.com/dustin/go-humanize"
	"github.com/schollz/progressbar/v3"
	"github.com/urfave/cli/v3"
	"golang.org/x/term"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/backend/open"
	"github.com/larderbuild/larder/cache"
	"github.com/larderbuild/larder/session"
)

// flushed is the result of larder flush.
type flushed struct {
	Uploads  int64 `json:"uploads"`
	Failed   int64 `json:"upload_errors"`
	Requests int64 `json:"remote_requests"`
	BytesOut int64 `json:"remote_bytes_out"`
}

func (f flushed) String() string {
	if f.Uploads == 0 && f.Failed == 0 {
		return "nothing was left to upload"
	}
	text := fmt.Sprintf("uploaded %d entries, %s", f.Uploads, humanize.IBytes(uint64(f.BytesOut)))
	if f.Failed > 0 {
		text += fmt.Sprintf("; %d failed", f.Failed)
	}
	return text
}

func (p *program) flushCommand() *cli.Command {
	return &cli.Command{
		Name:  "flush",
		Usage: "finish the uploads of builds that are over, and wait for those in the background",
		Description: "Uploads what is left from any session of this LARDER_DIR, to the store and scope that\n" +
			"session wrote, and waits for every other larder process there. Exits with 1 if\n" +
			"something could not be uploaded; it then stays for the next time.",
		Flags: []cli.Flag{jsonFlag()},
		Action: p.action(func(ctx context.Context, cmd *cli.Command, s settings) error {
			log := newLog(p.stderr, s.log)
			local, err := openLocal(s.dir)
			if err != nil {
				return err
			}
			stats := new(cache.Stats)
			bar := p.progress("uploading")
			cfg := s.engine(local, stats, log)
			cfg.Progress = cache.Progress{
				Planned: func(n int, _ int64) { bar.ChangeMax(bar.GetMax() + n) },
				Done:    func(int64) { _ = bar.Add(1) }, // a bar that can't be drawn is no harm
			}
			err = cache.Flush(ctx, cache.FlushConfig{
				Config: cfg,
				Open: func(t session.Target) (backend.Store, error) {
					if err := open.Check(t.Remote); err != nil {
						return nil, err
					}
					return openRemote(t.Remote, s, &stats.Remote, log), nil
				},
				Wait: true,
			})
			_ = bar.Clear()
			sum := stats.Summary()
			result := flushed{sum.Uploads, sum.UploadErrors, sum.RemoteRequests, sum.RemoteBytesOut}
			if errPrint := p.print(cmd, result); err == nil {
				err = errPrint
			}
			return err
		}),
	}
}

// progress returns a bar, on stderr where that is a terminal and nowhere else.
func (p *program) progress(what string, options ...progressbar.Option) *progressbar.ProgressBar {
	out := io.Discard
	if term.IsTerminal(int(p.stderr.Fd())) {
		out = p.stderr
	}
	return progressbar.NewOptions(0, append(options,
		progressbar.OptionSetWriter(out),
		progressbar.OptionSetDescription(what),
		progressbar.OptionShowCount(),
		progressbar.OptionClearOnFinish())...)
}

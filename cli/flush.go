package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/dustin/go-humanize"
	urfave "github.com/urfave/cli/v3"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/backend/open"
	"github.com/larderbuild/larder/cache"
	"github.com/larderbuild/larder/session"
)

// flushed is the result of larder flush.
type flushed struct {
	Uploads   int64 `json:"uploads"`
	Failed    int64 `json:"upload_errors"`
	Published int64 `json:"published"`
	Requests  int64 `json:"remote_requests"`
	BytesIn   int64 `json:"remote_bytes_in"`
	BytesOut  int64 `json:"remote_bytes_out"`
}

func (f flushed) String() string {
	if f.Uploads == 0 && f.Failed == 0 && f.Published == 0 {
		return "nothing was left to upload"
	}
	text := fmt.Sprintf("uploaded %d entries, %s", f.Uploads, humanize.IBytes(uint64(f.BytesOut)))
	if f.Published > 0 {
		text += fmt.Sprintf("; %d published", f.Published)
	}
	if f.Failed > 0 {
		text += fmt.Sprintf("; %d failed", f.Failed)
	}
	return text
}

func (p *program) flushCommand() *urfave.Command {
	return &urfave.Command{
		Name:  "flush",
		Usage: "finish the uploads of builds that are over, and wait for those in the background",
		Description: "Uploads what the sessions of this LARDER_DIR have left, each to the store and scope that\n" +
			"the session wrote, and fetches what they did without. It waits for other larder processes\n" +
			"whose build is over, but for no build. Exits with 1 if something could not be uploaded.\n" +
			"That stays for the next time.",
		Flags:  []urfave.Flag{jsonFlag()},
		Action: p.action(p.flush),
	}
}

func (p *program) flush(ctx context.Context, cmd *urfave.Command, s settings) error {
	with := p.newParts(s)
	bar := p.newBar("uploading")
	err := with.eachLocal(func(cfg cache.Config) error {
		cfg.Progress = countEntries(bar)
		return cache.Flush(ctx, cache.FlushConfig{
			Config: cfg,
			Open: func(t session.Target) (backend.Store, error) {
				if err := open.Check(t.Remote); err != nil {
					return nil, err
				}
				return with.store(t.Remote), nil
			},
			Wait: func(l session.Live) {
				_, _ = fmt.Fprintf(p.stderr, "larder: waiting for process %d, which finishes the work of a build that is over\n", l.PID)
			},
		})
	})
	_ = bar.Clear()
	err = errors.Join(err, with.stranded())
	sum := with.stats.Summary()
	result := flushed{sum.Uploads, sum.UploadErrors, sum.Published, sum.RemoteRequests, sum.RemoteBytesIn, sum.RemoteBytesOut}
	if err != nil && result == (flushed{}) && !cmd.Bool("json") {
		return err // which says what was left; the result would say that nothing was
	}
	if errPrint := p.print(cmd, result); err == nil {
		err = errPrint
	}
	return err
}

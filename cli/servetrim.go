package cli

import (
	"context"
	"log/slog"
	"time"

	urfave "github.com/urfave/cli/v3"

	"github.com/larderbuild/larder/backend/open"
	"github.com/larderbuild/larder/collect"
	"github.com/larderbuild/larder/serve"
)

// maxServed returns how large the store may be, in bytes; 0: no limit.
func maxServed(cmd *urfave.Command, store string) (size int64, err error) {
	traits, value := open.Traits(store), cmd.String("max-size")
	if value == "" && traits.Ownerless {
		value = "20GiB"
	}
	if value != "" {
		if err := parseSize(&size, value); err != nil {
			return 0, serveUsage("--max-size is %q: %w", value, err)
		}
	}
	if size > 0 && traits.Unlisted {
		return 0, serveUsage("--max-size is %q: want 0, because %s can't list what it has", value, open.Redact(store))
	}
	return size, nil
}

// repeat calls work again and again, and waits in between for as long as it says. Whoever calls
// end waits until it has ended.
func repeat(ctx context.Context, work func(context.Context) (pause time.Duration)) (end func()) {
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-time.After(work(ctx)):
			case <-ctx.Done():
				return
			}
		}
	}()
	return func() {
		cancel()
		<-ended
	}
}

// surveyServed counts what lies in the store. It takes up to a fiftieth of the time.
func surveyServed(ctx context.Context, server *serve.Server, log *slog.Logger) (pause time.Duration) {
	began := time.Now()
	if err := server.Survey(ctx); err != nil && ctx.Err() == nil {
		log.Error("what lies in the store is not counted", "err", err)
	}
	return max(5*time.Minute, 50*time.Since(began))
}

// trimServed keeps the store below cfg.MaxSize: each time what other tools keep there, and once a
// day larder's own.
func trimServed(ctx context.Context, server *serve.Server, cfg collect.Config) (pause time.Duration) {
	evicted, err := server.Evict(ctx, cfg.MaxSize, cfg.MaxAge)
	if err == nil {
		cfg.Log.Info("trimmed what other tools keep", "objects", evicted.Objects, "bytes", evicted.Bytes, "bytes_left", evicted.BytesLeft)
		cfg.MaxSize -= min(evicted.BytesLeft, cfg.MaxSize/2)
		var result collect.Result
		var ran bool
		if result, ran, err = collect.Daily(ctx, cfg, server.Store); ran {
			cfg.Log.Info("trimmed larder's own: " + collected(result).String())
		}
	}
	if err != nil && ctx.Err() == nil {
		cfg.Log.Error("the store is not trimmed", "err", err)
	}
	return time.Hour
}

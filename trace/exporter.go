package trace

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/larderbuild/larder/backend"
)

// exporter sends spans to a collector, in batches. One goroutine does so.
type exporter struct {
	Config
	log      *slog.Logger
	client   *http.Client
	resource []byte // encoded
	secrets  []string

	queue   chan []byte  // encoded spans
	dropped atomic.Int64 // spans for which the queue had no room

	close   sync.Once
	closing chan struct{} // is closed when the last spans are to be exported,
	end     time.Time     // until this moment, which is set before that
	cancel  func()        // cuts off what is under way
	done    chan struct{} // is closed when the goroutine has ended

	// What follows belongs to the goroutine.

	notBefore time.Time // the collector has asked for no request before that
	lost      int64     // spans, since the last line about them
	why       error     // the last ones were lost; nil: there is nothing to tell
	told      time.Time // when the last line was
}

func newExporter(cfg Config, log *slog.Logger) *exporter {
	e := &exporter{
		Config: cfg, log: log, client: backend.NewClient(cfg.Transport),
		resource: encodeResource(cfg.Resource), secrets: secretsOf(cfg),
		queue: make(chan []byte, cfg.Queue), closing: make(chan struct{}), done: make(chan struct{}),
	}
	ctx, cancel := context.WithCancel(context.Background())
	e.cancel = cancel
	go e.run(ctx)
	return e
}

// add queues an encoded span, or drops it. It never waits.
func (e *exporter) add(span []byte) {
	select {
	case e.queue <- span:
	default:
		e.dropped.Add(1)
	}
}

// shutdown has the goroutine export what is queued, and waits for it.
func (e *exporter) shutdown(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, e.ExportTimeout)
	defer cancel()
	e.close.Do(func() {
		e.end, _ = ctx.Deadline()
		close(e.closing)
	})
	select {
	case <-e.done:
	case <-ctx.Done():
		e.cancel()
		<-e.done
	}
}

// run exports spans until shutdown.
func (e *exporter) run(ctx context.Context) {
	defer close(e.done)
	defer e.client.CloseIdleConnections()
	defer e.cancel()
	tick := time.NewTicker(max(e.Delay, time.Millisecond))
	defer tick.Stop()
	var batch [][]byte
	for {
		select {
		case span := <-e.queue:
			if batch = append(batch, span); len(batch) < e.Batch {
				continue
			}
		case <-tick.C:
		case <-e.closing:
			e.exportLast(ctx, batch)
			return
		}
		e.export(ctx, batch)
		batch = nil
	}
}

// exportLast exports batch and what is still queued. When a batch fails, the others are lost as
// well: the end of the process is not to wait for each of them.
func (e *exporter) exportLast(ctx context.Context, batch [][]byte) {
	works := true
	for ; len(batch) > 0 || len(e.queue) > 0; batch = nil {
		for len(batch) < e.Batch && len(e.queue) > 0 {
			batch = append(batch, <-e.queue)
		}
		if works {
			works = e.export(ctx, batch)
		} else {
			e.lost += int64(len(batch))
		}
	}
	e.told = time.Time{}
	e.tell()
}

// export sends a batch, which may be empty, and logs what is lost. It reports whether the
// collector has the batch.
func (e *exporter) export(ctx context.Context, batch [][]byte) bool {
	var err error
	if len(batch) > 0 {
		if err = e.send(ctx, batch); err != nil {
			e.lose(int64(len(batch)), err)
		}
	}
	if n := e.dropped.Swap(0); n > 0 {
		e.lose(n, errFull)
	}
	e.tell()
	return err == nil
}

var errFull = errors.New("the queue is full: OTEL_BSP_MAX_QUEUE_SIZE says how many spans may wait")

// lose notes that n spans are lost, and why. n is 0 if the collector only warns.
func (e *exporter) lose(n int64, why error) {
	e.lost += n
	e.why = why
}

// silence is how long the exporter says nothing after a line about lost spans.
const silence = time.Minute

// tell logs what was lost, unless it has done so a moment ago.
func (e *exporter) tell() {
	if e.why == nil || time.Since(e.told) < silence {
		return
	}
	e.log.Warn("trace: spans are lost", "spans", e.lost, "err", e.why)
	e.lost, e.why, e.told = 0, nil, time.Now()
}

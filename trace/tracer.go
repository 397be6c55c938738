package trace

import (
	"context"
	"log/slog"
	"net/http"
	"time"
)

// Config says which spans a Tracer records, and where it sends them. FromVariables makes one.
type Config struct {
	Sampler    Sampler
	Propagates bool        // requests belong to the traces that their senders name
	Resource   []Attribute // what all spans come from, such as service.name
	Version    string      // of larder

	URL       string          // takes requests of OTLP/HTTP
	Header    http.Header     // of each request; secret
	Gzip      bool            // bodies are compressed
	Transport *http.Transport // the Tracer closes its idle connections
	Timeout   time.Duration   // of one request

	Delay         time.Duration // how long spans wait for others
	ExportTimeout time.Duration // of one batch with its retries, and of Shutdown
	Queue         int           // spans that wait at most; others are dropped
	Batch         int           // spans in one request at most
}

// Tracer makes spans, and exports them in the background. A nil *Tracer records none. Many
// goroutines may use it.
type Tracer struct {
	sampler    Sampler
	propagates bool
	exporter   *exporter
}

// New returns a Tracer. Its caller calls Shutdown. At most once a minute log gets how many
// spans were lost, and why.
func New(cfg Config, log *slog.Logger) *Tracer {
	return &Tracer{cfg.Sampler, cfg.Propagates, newExporter(cfg, log)}
}

// Shutdown exports the spans that have ended. It returns after Config.ExportTimeout, or when ctx
// is done; what is left then is lost. Spans that end later are dropped.
func (t *Tracer) Shutdown(ctx context.Context) {
	if t != nil {
		t.exporter.shutdown(ctx)
	}
}

package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/larderbuild/larder/cache"
	"github.com/larderbuild/larder/protocol"
)

// helper serves one session of the go command. Where wrong says what is wrong
// with the settings, it goes on with the local tier alone.
func (p *program) helper(s settings, wrong error) error {
	// Whoever interrupts the build interrupts the go command, which then
	// ends the input, or goes on: a quit is for the tests that it runs. And
	// a go command that is gone must not take the uploads with it.
	signal.Ignore(os.Interrupt, syscall.SIGQUIT, syscall.SIGPIPE)

	in := &input{p.stdin}
	conn, err := protocol.Start(in, p.stdout)
	if err != nil {
		return err
	}
	log := newLog(p.stderr, s.log)
	// Also where something is wrong already: what is secret is noted in any case.
	if wrong = errors.Join(wrong, s.resolve(p.environ)); wrong != nil {
		log.Error(fmt.Sprintf("%v; going on with the local tier alone", wrong))
		s.remote = ""
	}
	if s.record != "" {
		record, err := os.OpenFile(s.record, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
		if err != nil {
			log.Error(fmt.Sprintf("LARDER_RECORD: %v", err))
		} else {
			defer record.Close()
			in.Reader = io.TeeReader(p.stdin, &recorder{record, log})
		}
	}

	local, err := localOrTemporary(s.dir, log)
	if err != nil {
		return err
	}
	stats := new(cache.Stats)
	cfg := cache.SessionConfig{
		Config: s.engine(local, stats, log),
		Target: s.target(),
		Upload: s.writes(),
		Linger: s.close == closeLinger,
		Budget: s.budget,
	}
	if s.remote != "" {
		cfg.Store = openRemote(s.remote, s, &stats.Remote, log)
	}
	p.onDemand(&cfg, s)
	c := cache.New(cfg)
	switch err := conn.Serve(context.Background(), c); {
	case errors.Is(err, syscall.EPIPE):
		log.Info("the go command is gone", "err", err)
	case err != nil:
		log.Error(fmt.Sprintf("the session ends early: %v", err))
	}

	wait := s.closeTimeout
	if s.close == closeLinger {
		wait = 0
	}
	left := c.Close(wait)
	p.printStats(s, stats)
	if wrong == nil {
		p.linger(s, local, left, log)
	}
	return nil
}

// input is the session's input; where it is recorded too is known only after
// the handshake.
type input struct{ io.Reader }

// recorder writes what it can: a disk that is full must not end the session.
type recorder struct {
	file *os.File // nil once a write has failed
	log  *slog.Logger
}

func (r *recorder) Write(b []byte) (int, error) {
	if r.file == nil {
		return len(b), nil
	}
	if _, err := r.file.Write(b); err != nil {
		r.log.Error(fmt.Sprintf("LARDER_RECORD: %v; the rest of the session is not recorded", err))
		r.file = nil
	}
	return len(b), nil
}

func (p *program) printStats(s settings, stats *cache.Stats) {
	switch s.stats {
	case statsText:
		_, _ = fmt.Fprintf(p.stderr, "larder: %s\n", stats.Summary())
	case statsJSON:
		_ = writeJSON(p.stderr, stats.Summary())
	}
}

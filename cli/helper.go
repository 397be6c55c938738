package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/larderbuild/larder/cache"
	"github.com/larderbuild/larder/gocmd"
	"github.com/larderbuild/larder/protocol"
	"github.com/larderbuild/larder/session"
)

// helper serves one session of the go command. Where a setting is wrong, it says so
// in one line and goes on with the local tier alone.
func (p *program) helper(given givenSettings) error {
	// A person who interrupts the build interrupts the go command, which then
	// ends the helper's input or goes on: a quit is for the tests that it runs.
	// Where the go command is gone, the uploads still have to be done.
	signal.Ignore(os.Interrupt, syscall.SIGQUIT, syscall.SIGPIPE)

	in := &input{p.stdin}
	conn, err := protocol.Start(in, p.stdout) // before any file is touched
	if isGone(err) {
		return nil // nobody is left to serve or to tell
	}
	if err != nil {
		return err
	}
	giveUpStdio()
	outer, nested := gocmd.Nested()
	out := newOutput(p.stderr, given.logLevel, nested)
	log := out.log
	from := p.surroundings()
	s, wrong := given.resolve(from)
	if wrong != nil {
		log.Error(fmt.Sprintf("%v; going on with the local tier alone", wrong))
	}
	if s.record != "" {
		record, err := openRecord(s.record)
		if err != nil {
			log.Error(fmt.Sprintf("LARDER_RECORD: %v", err))
		} else {
			defer record.Close()
			in.Reader = io.TeeReader(p.stdin, &recorder{record, log})
		}
	}
	with := parts{s, openLocal(s.dir, log), new(cache.Stats), log}
	out.file.begin(logPath(with.local))
	var passing *cache.Transient
	if nested {
		passing = transient(from, outer)
	}
	left := p.serve(conn, with, passing, out.silent)
	printStats(out.counts, with)
	if wrong == nil {
		p.linger(with, left)
	}
	return nil
}

// serve answers the go command until the session ends. passing is nil unless the session is
// transient. silent says that with.log does not go to stderr. serve reports whether work for
// the background is left.
func (p *program) serve(conn *protocol.Conn, with parts, passing *cache.Transient, silent bool) (left bool) {
	if passing != nil { // the manifest of such a module would serve nobody
		with.target.Profile = session.Profile{}
	}
	cfg := cache.SessionConfig{
		Config:    with.config(),
		Target:    with.target,
		Upload:    with.writes(),
		Linger:    with.close == closeLinger,
		Defer:     with.close == closeDefer,
		Budget:    with.budget,
		Silent:    silent,
		Transient: passing,
	}
	if with.target.Remote != "" {
		cfg.Store = with.store(with.target.Remote)
		p.allowLazy(&cfg, with.settings)
	}
	c := cache.New(cfg)
	switch err := conn.Serve(context.Background(), c); {
	case isGone(err):
		with.log.Info("the go command is gone", "err", err)
	case err != nil:
		with.log.Error(fmt.Sprintf("the session ends early: %v", err))
	}
	if with.close == closeWait {
		return c.Close(with.closeTimeout)
	}
	return c.Close(0)
}

// input is the session's input. Whether it is recorded, too, is known only after the
// handshake.
type input struct{ io.Reader }

// openRecord opens the file to which the session's input is copied. It takes no FIFO and
// no device, which could hold up the session.
func openRecord(path string) (*os.File, error) {
	return patiently(path, func() (*os.File, error) {
		if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
			return nil, fmt.Errorf("%s is no regular file", path)
		}
		return os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	})
}

// recorder writes to a file until a write fails: a full disk must not end the
// session.
type recorder struct {
	file *os.File // nil once a write has failed
	log  *slog.Logger
}

// Write returns no error.
func (r *recorder) Write(b []byte) (int, error) {
	if r.file == nil {
		return len(b), nil
	}
	b, file := bytes.Clone(b), r.file
	if _, err := patiently(file.Name(), func() (int, error) { return file.Write(b) }); err != nil {
		r.log.Error(fmt.Sprintf("LARDER_RECORD: %v; the rest of the session is not recorded", err))
		r.file = nil
	}
	return len(b), nil
}

func printStats(w io.Writer, with parts) {
	switch format := with.statsFormat; format {
	case statsOff:
	case statsText:
		_, _ = fmt.Fprintf(w, "larder: %s\n", with.stats.Summary())
	case statsJSON:
		_ = writeJSON(w, with.stats.Summary())
	default:
		if err := appendStats(format, with.stats.Summary()); err != nil {
			with.log.Warn(fmt.Sprintf("LARDER_STATS: %v", err))
		}
	}
}

// appendStats appends a summary to the file at path. Sessions that end at the same time each
// write their own line.
func appendStats(path string, s cache.Summary) error {
	_, err := patiently(path, func() (struct{}, error) {
		var line bytes.Buffer
		if err := writeJSON(&line, s); err != nil {
			return struct{}{}, err
		}
		if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
			return struct{}{}, fmt.Errorf("%s is no regular file", path)
		}
		file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
		if err != nil {
			return struct{}{}, err
		}
		_, err = file.Write(line.Bytes())
		return struct{}{}, errors.Join(err, file.Close())
	})
	return err
}

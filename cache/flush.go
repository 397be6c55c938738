package cache

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"time"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/localdisk"
)

// FlushConfig says which journals Flush works off, and how.
type FlushConfig struct {
	Local *localdisk.Dir
	Open  func(Target) (backend.Store, error) // Flush closes the store
	Only  *Target                             // nil: the journals of all targets
	Wait  bool                                // also for the sessions of live processes
	Stats *Stats
	Log   *slog.Logger

	// Found and Done, where not nil, are told of uploads that were found to
	// be done, and of each that has ended well or badly. Done is called from
	// many goroutines at once.
	Found func(uploads int)
	Done  func()
}

// Flush uploads what sessions that are gone have left in their journals. It
// returns an error if something could not be uploaded, or ctx was done before;
// what is left then stays in the journals.
func Flush(ctx context.Context, cfg FlushConfig) error {
	var failed []error
	tried := make(map[string]bool)
	for {
		dirs, err := sessions(cfg.Local.Path())
		if err != nil {
			return err
		}
		live := 0
		for _, dir := range dirs {
			if tried[dir] {
				continue
			}
			s, err := takeSession(dir)
			if err != nil {
				failed = append(failed, err)
				tried[dir] = true
				continue
			}
			if s == nil {
				live++
				continue
			}
			tried[dir] = true
			if err := flushSession(ctx, cfg, s); err != nil {
				failed = append(failed, err)
			}
		}
		if live == 0 || !cfg.Wait {
			return errors.Join(failed...)
		}
		cfg.Log.Debug("wait for other processes", "sessions", live)
		select {
		case <-ctx.Done():
			return errors.Join(append(failed, context.Cause(ctx))...)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// flushSession works off the journal of s, and gives s up.
func flushSession(ctx context.Context, cfg FlushConfig, s *session) error {
	defer s.close()
	journal, target, jobs, err := openJournal(s.journal())
	if errors.Is(err, fs.ErrNotExist) {
		return nil // nothing was to be uploaded
	}
	if err != nil {
		return err
	}
	s.sweep()
	left := len(jobs)
	defer func() {
		if err := journal.close(left); err != nil {
			cfg.Log.Info("close a journal", "err", err)
		}
	}()
	if cfg.Only != nil && *cfg.Only != target || left == 0 {
		return nil
	}
	if cfg.Found != nil {
		cfg.Found(len(jobs))
	}
	store, err := cfg.Open(target)
	if err != nil {
		return err
	}
	defer store.Close()

	r := &remote{store: store, scope: target.Scope, log: cfg.Log}
	u := newUploader(cfg.Local, r, s, journal, cfg.Stats)
	u.done = cfg.Done
	u.hurry()
	u.resume(jobs)
	running, stop := context.WithCancel(ctx)
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		u.run(running)
	}()
	_ = u.wait(ctx) // what is not done in time is left
	stop()
	<-stopped
	left = u.left()

	switch {
	case left > 0 && ctx.Err() != nil:
		return fmt.Errorf("%d of %d uploads left: %w", left, len(jobs), context.Cause(ctx))
	case left > 0:
		return fmt.Errorf("%d of %d uploads failed", left, len(jobs))
	case u.lost > 0:
		return fmt.Errorf("%d of %d uploads are no longer in %s", u.lost, len(jobs), cfg.Local.Path())
	}
	return nil
}

// Pending returns how many uploads the journals under the local tier's
// directory hold, those of live sessions included.
func Pending(local *localdisk.Dir) (uploads int, err error) {
	dirs, err := sessions(local.Path())
	if err != nil {
		return 0, err
	}
	for _, dir := range dirs {
		_, jobs, err := readJournal((&session{dir: dir}).journal())
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return 0, err
		}
		uploads += len(jobs)
	}
	return uploads, nil
}

// Abandoned reports whether sessions that are gone have left uploads to target.
func Abandoned(local *localdisk.Dir, target Target) (bool, error) {
	dirs, err := sessions(local.Path())
	if err != nil {
		return false, err
	}
	for _, dir := range dirs {
		s, err := takeSession(dir)
		if err != nil {
			return false, err
		}
		if s == nil {
			continue
		}
		to, jobs, err := readJournal(s.journal())
		s.close()
		if err == nil && to == target && len(jobs) > 0 {
			return true, nil
		}
	}
	return false, nil
}

// Forget gives up the uploads that sessions which are gone have left.
func Forget(local *localdisk.Dir) error {
	dirs, err := sessions(local.Path())
	if err != nil {
		return err
	}
	for _, dir := range dirs {
		s, err := takeSession(dir)
		if err != nil {
			return err
		}
		if s == nil {
			continue
		}
		err = os.Remove(s.journal())
		s.close()
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

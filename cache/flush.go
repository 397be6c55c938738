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

	Policy Policy // its Key signs for sessions that signed

	MaxObject int64 // larger bodies are neither packed nor brought, in bytes

	ReadOnly bool // journals that have something to write stay as they are
	Fill     bool // bring to the local tier what sessions did without

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
	journal, todo, err := openJournal(s.journal())
	if errors.Is(err, fs.ErrNotExist) {
		return nil // nothing was to be done
	}
	if err != nil {
		return err
	}
	s.sweep()
	left := todo.writes()
	defer func() {
		if err := journal.close(left); err != nil {
			cfg.Log.Info("close a journal", "err", err)
		}
	}()
	fill := todo.fill && cfg.Fill
	if !left && !fill || left && cfg.ReadOnly || cfg.Only != nil && !cfg.Only.samePlace(todo.target) {
		return nil
	}
	policy := cfg.Policy
	if !todo.signed {
		policy.Key = nil // what a session did not vouch for, nobody does
	} else if left && policy.Key == nil {
		return fmt.Errorf("%s: its session signed what it wrote, and here is no key to sign the rest with", s.dir)
	}
	store, err := cfg.Open(todo.target)
	if err != nil {
		return err
	}
	defer store.Close()
	r := newRemote(store, todo.target, policy, cfg.Log)

	w := newWithheld(cfg.Local, policy, cfg.Stats, cfg.Log)
	undone, errUploads := flushUploads(ctx, cfg, r, s, journal, w, todo.uploads)
	errPublish := flushRecord(ctx, cfg, r, s, w, todo)
	left = undone || errPublish != nil
	if fill {
		p := newPrefetch(cfg.Local, r, cfg.Stats, cfg.MaxObject)
		p.run(ctx, newLibrary(r, todo.target, cfg.Local.Path()))
	}
	return errors.Join(errUploads, errPublish)
}

// flushUploads does uploads, and reports whether some are still undone.
func flushUploads(ctx context.Context, cfg FlushConfig, r *remote, s *session, j *journal, w *withheld, uploads []job) (undone bool, err error) {
	if len(uploads) == 0 {
		return false, nil
	}
	if cfg.Found != nil {
		cfg.Found(len(uploads))
	}
	u := newUploader(cfg.Local, r, s, j, w, cfg.Stats)
	u.done = cfg.Done
	u.hurry()
	u.resume(uploads)
	running, stop := context.WithCancel(ctx)
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		u.run(running)
	}()
	_ = u.wait(ctx) // what is not done in time is left
	stop()
	<-stopped

	switch left := u.left(); {
	case left > 0 && ctx.Err() != nil:
		return true, fmt.Errorf("%d of %d uploads left: %w", left, len(uploads), context.Cause(ctx))
	case left > 0:
		return true, fmt.Errorf("%d of %d uploads failed", left, len(uploads))
	case u.lost > 0:
		return false, fmt.Errorf("%d of %d uploads are no longer in %s", u.lost, len(uploads), cfg.Local.Path())
	}
	return false, nil
}

// flushRecord publishes what a session used.
func flushRecord(ctx context.Context, cfg FlushConfig, r *remote, s *session, w *withheld, todo pending) error {
	if len(todo.record.uses) == 0 {
		return nil
	}
	l := newLibrary(r, todo.target, cfg.Local.Path())
	found, err := l.loadToPublish(ctx, (*manifests).fetch)
	if err != nil {
		return fmt.Errorf("publish: %w", err)
	}
	return newPublisher(cfg.Local, l, &found, w, cfg.MaxObject, s.dir, time.Now()).publish(ctx, found.own, todo.record)
}

// Pending returns how many uploads the journals under the local tier's
// directory hold, those of live sessions included.
func Pending(local *localdisk.Dir) (uploads int, err error) {
	dirs, err := sessions(local.Path())
	if err != nil {
		return 0, err
	}
	for _, dir := range dirs {
		todo, err := readJournal((&session{dir: dir}).journal())
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return 0, err
		}
		uploads += len(todo.uploads)
	}
	return uploads, nil
}

// Abandoned reports whether sessions that are gone have left something to do for
// target, under whichever profile.
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
		todo, err := readJournal(s.journal())
		s.close()
		if err == nil && todo.target.samePlace(target) && (todo.writes() || todo.fill) {
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

package cache

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/session"
)

// FlushConfig says which journals Flush works off, and how. The key in its Policy
// signs for sessions that signed. Its Progress is told of uploads and of what is packed.
type FlushConfig struct {
	Config
	Open     func(session.Target) (backend.Store, error) // Flush closes the store
	Only     *session.Target                             // nil: the journals of all targets
	Wait     bool                                        // also for the sessions of live processes
	ReadOnly bool                                        // leave journals alone that have something to write
	Bring    bool                                        // bring to the local tier what sessions did without
}

// waitInterval is how often Flush looks whether live sessions have ended.
const waitInterval = 100 * time.Millisecond

// Flush uploads and publishes what sessions that are gone have left in their
// journals. It returns an error if something could not be done, or if ctx was done
// before. What is left then stays in the journals.
func Flush(ctx context.Context, cfg FlushConfig) error {
	var failed []error
	tried := make(map[string]bool)
	for {
		live, errs := flushOnce(ctx, cfg, tried)
		failed = append(failed, errs...)
		if live == 0 || !cfg.Wait {
			return errors.Join(failed...)
		}
		cfg.Log.Debug("wait for other processes", "sessions", live)
		select {
		case <-ctx.Done():
			return errors.Join(append(failed, context.Cause(ctx))...)
		case <-time.After(waitInterval):
		}
	}
}

// flushOnce works off the journals of all sessions that are gone and that are not
// among tried, to which it adds them. It returns how many sessions are live or have just
// gone.
func flushOnce(ctx context.Context, cfg FlushConfig, tried map[string]bool) (live int, failed []error) {
	dirs, err := session.List(cfg.Local.Path())
	if err != nil {
		return 0, []error{err}
	}
	for _, dir := range dirs {
		s, err := session.Take(dir)
		if s == nil && err == nil {
			live++ // maybe a process in the background tries what this one has tried
			continue
		}
		if tried[dir] {
			if s != nil {
				s.Close()
			}
			continue
		}
		tried[dir] = true
		if err == nil {
			err = flushSession(ctx, cfg, s)
		}
		if err != nil {
			failed = append(failed, err)
		}
	}
	return live, failed
}

// flushSession works off the journal of s, and gives s up.
func flushSession(ctx context.Context, cfg FlushConfig, s *session.Session) error {
	defer s.Close()
	journal, todo, err := s.OpenJournal()
	if errors.Is(err, fs.ErrNotExist) {
		return nil // the session left nothing to do
	}
	if err != nil {
		return err
	}
	left := todo.Writes()
	defer func() {
		if err := journal.Close(left); err != nil {
			cfg.Log.Info("close a journal", "err", err)
		}
	}()
	bring := todo.Bring && cfg.Bring
	if !left && !bring || left && cfg.ReadOnly || cfg.Only != nil && !cfg.Only.SameScope(todo.Target) {
		return nil
	}
	if !todo.Signed {
		cfg.Policy.Key = nil // what a session did not vouch for, nobody does
	} else if left && cfg.Policy.Key == nil {
		return fmt.Errorf("%s: its session signed what it wrote, and here is no key to sign the rest with", s.Dir())
	}
	store, err := cfg.Open(todo.Target)
	if err != nil {
		return err
	}
	defer store.Close()
	r := newRemote(cfg.Config, store, todo.Target)
	l := newLibrary(r, todo.Target)
	w := newWithheld(cfg.Config)
	before := r.Stats.Remote.Snapshot().Answers
	undone, errUploads := flushUploads(ctx, newUploader(r, s, journal, w), todo.Uploads)
	errPublish := flushRecord(ctx, l, s, w, todo.Record)
	left = undone || errPublish != nil
	if r.Stats.Remote.Snapshot().Answers > before {
		r.memory.Forget(session.Down)
	}
	if bring {
		p := newPrefetch(r, l)
		p.begin(p.load(ctx))
		p.bring(ctx, everything)
	}
	return errors.Join(errUploads, errPublish)
}

// flushUploads has u do uploads, and reports whether some are still undone.
func flushUploads(ctx context.Context, u *uploader, uploads []session.Upload) (undone bool, err error) {
	if len(uploads) == 0 {
		return false, nil
	}
	u.Progress.planned(len(uploads), 0)
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
		return false, fmt.Errorf("%d of %d uploads are no longer in %s", u.lost, len(uploads), u.Local.Path())
	}
	return false, nil
}

// flushRecord publishes what a session used.
func flushRecord(ctx context.Context, l *library, s *session.Session, w *withheld, r session.Record) error {
	if len(r.Uses) == 0 {
		return nil
	}
	found, err := l.loadToPublish(ctx, true)
	if err != nil {
		return fmt.Errorf("publish: %w", err)
	}
	return newPublisher(l, &found, w, s, time.Now()).publish(ctx, found.written, r)
}

package cache

import (
	"context"
	"errors"
	"fmt"
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
	ReadOnly bool                                        // write nothing to the remote

	// Wait is told once of each process that Flush waits for: it finishes the work of a
	// build that is over. nil: Flush waits for nobody.
	Wait func(session.Live)
}

// waitInterval is how often Flush looks whether other processes have ended.
const waitInterval = 100 * time.Millisecond

// Flush uploads and publishes what sessions that have ended left in their journals, and
// brings to the local tier what they did without. It returns an error if something could
// not be done, or if ctx was done before. What is left then stays in the journals. It does
// not wait for builds that are under way.
func Flush(ctx context.Context, cfg FlushConfig) error {
	s, err := session.New(cfg.Local.Path(), time.Now())
	if err != nil {
		return err
	}
	defer s.Close()
	if cfg.Wait == nil {
		s.Over() // others may wait for this process, which waits for none
	}
	f := &flusher{FlushConfig: cfg, session: s, tried: make(map[string]bool), told: make(map[int]bool)}
	for {
		worked, busy := f.pass(ctx)
		switch {
		case ctx.Err() != nil:
			return errors.Join(append(f.failed, f.unread, context.Cause(ctx))...)
		case worked: // look again: more may have come
			continue
		case f.Wait == nil || !f.othersWork() && !busy:
			return errors.Join(append(f.failed, f.unread)...)
		}
		select {
		case <-ctx.Done():
		case <-time.After(waitInterval):
		}
	}
}

// flusher is one run of Flush.
type flusher struct {
	FlushConfig
	session *session.Session // has room for what is on its way out
	tried   map[string]bool  // paths of journals
	told    map[int]bool     // IDs of processes of which Wait was told
	failed  []error
	unread  error // tells of journals that can't be read
}

// othersWork reports whether other processes finish the work of builds that are over.
func (f *flusher) othersWork() bool {
	live, err := session.List(f.Local.Path())
	if err != nil {
		f.Log.Info("look for other processes", "err", err)
	}
	others := false
	for _, l := range live {
		if !l.Over || f.session.Is(l) {
			continue
		}
		others = true
		if !f.told[l.PID] {
			f.told[l.PID] = true
			f.Wait(l)
		}
	}
	return others
}

// pass works off the journals that were not tried yet. It reports whether there were
// any, and whether another process is at some of them.
func (f *flusher) pass(ctx context.Context) (worked, busy bool) {
	var works []session.Work
	works, f.unread = session.Left(f.Local.Path())
	for _, w := range works {
		if ctx.Err() != nil {
			return worked, busy
		}
		if f.wereTried(w) || f.Only != nil && !f.Only.SameScope(w.Target) || f.leaves(w) {
			continue
		}
		unlock, ok := session.LockScope(f.Local.Path(), w.Target)
		if !ok {
			busy = true
			continue
		}
		f.session.Over()
		if err := f.work(ctx, w); err != nil {
			f.failed = append(f.failed, err)
		}
		if f.Wait != nil { // or two that wait would wait for each other
			f.session.Idle()
		}
		unlock()
		worked = true
		for _, path := range w.Journals {
			f.tried[path] = true
		}
	}
	return worked, busy
}

// leaves reports whether w has nothing for this run to do.
func (f *flusher) leaves(w session.Work) bool {
	if !f.ReadOnly {
		return false
	}
	todo, err := w.Pending()
	return err == nil && todo.Writes() && !todo.Bring // the attempt says what the error is
}

// wereTried reports whether all of w's journals were tried.
func (f *flusher) wereTried(w session.Work) bool {
	for _, path := range w.Journals {
		if !f.tried[path] {
			return false
		}
	}
	return true
}

// work does w, and keeps in its journal what is left.
func (f *flusher) work(ctx context.Context, w session.Work) error {
	journal, todo, err := w.Take()
	if err != nil {
		return err
	}
	left := todo.Writes() || todo.Bring
	defer func() {
		if err := journal.Close(left); err != nil {
			f.Log.Info("close a journal", "err", err)
		}
	}()
	writes := todo.Writes() && !f.ReadOnly
	if !writes && !todo.Bring {
		return nil
	}
	cfg := f.Config
	if !todo.Signed {
		cfg.Policy.Key = nil // what a session did not vouch for, nobody does
	} else if writes && cfg.Policy.Key == nil {
		return fmt.Errorf("%s: its session signed what it wrote, and here is no key to sign the rest with", w.Journals[0])
	}
	store, err := f.Open(todo.Target)
	if err != nil {
		return err
	}
	defer store.Close()
	r := newRemote(cfg, store, todo.Target)
	l := newLibrary(r, todo.Target)
	left = todo.Writes()
	if writes {
		left, err = f.write(ctx, r, l, journal, todo)
	}
	if todo.Bring {
		p := newPrefetch(r, l)
		p.begin(p.load(ctx))
		p.bring(ctx, everything)
		err = errors.Join(err, journal.Brought())
	}
	return err
}

// write uploads and publishes what todo says, and reports whether something is left.
func (f *flusher) write(ctx context.Context, r *remote, l *library, j *session.Journal, todo session.Pending) (left bool, err error) {
	held := newWithheld(r.Config)
	u := newUploader(r, f.session, j, held)
	u.hurry()
	if todo.Target.Profile != (session.Profile{}) {
		u.expectPacks()
	}
	u.Progress.planned(len(todo.Uploads), 0)
	u.resume(todo.Uploads)
	before := u.Stats.Remote.Snapshot().Answers
	running, stop := context.WithCancel(ctx)
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		u.run(running)
	}()
	w := work{u, todo.Record, func(ctx context.Context) (*publisher, published, error) {
		found, err := l.loadToPublish(ctx, true)
		if err != nil {
			return nil, published{}, err
		}
		return newPublisher(l, &found, held, f.session, time.Now()), found.written, nil
	}}
	if err = w.do(ctx); err != nil {
		err = errorLine("publish", err)
	}
	stop()
	<-stopped
	if u.Stats.Remote.Snapshot().Answers > before {
		u.memory.Forget(session.Down)
	}

	if len(w.record.Uses) < len(todo.Record.Uses) {
		err = errors.Join(err, j.Published(w.record))
	}
	uploads, denied := u.left()
	return uploads.entries > 0 || len(w.record.Uses) > 0, errors.Join(u.report(ctx, uploads, denied, len(todo.Uploads)), err)
}

// report returns what of all uploads could not be done, and why.
func (u *uploader) report(ctx context.Context, left remainder, denied error, all int) error {
	switch {
	case left.entries == 0 && u.lost > 0:
		return fmt.Errorf("%d of %d uploads are no longer in %s", u.lost, all, u.Local.Path())
	case left.entries == 0:
		return nil
	case denied != nil:
		return errorLine(fmt.Sprintf("%d of %d uploads are refused", left.entries, all), denied)
	case ctx.Err() != nil:
		return fmt.Errorf("%d of %d uploads left: %w", left.entries, all, context.Cause(ctx))
	}
	return fmt.Errorf("%d of %d uploads failed", left.entries, all)
}

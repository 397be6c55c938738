package cache

import (
	"bytes"
	"context"
	"errors"
	"time"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/session"
)

// conditionsKept is how long the sessions of a local tier remember whether a remote has
// conditional puts.
const conditionsKept = 7 * 24 * time.Hour

// replace stores the object of a name in place of the one that has the given version, or
// of none if that is empty. The error wraps backend.ErrConflict if another one is there by
// now. If the store has no conditional puts, replace looks which one is there before it
// puts. Then the last of two writers wins that put at the same moment.
func (m *manifests) replace(ctx context.Context, name string, object []byte, version string) (backend.Object, error) {
	if !m.remote.isUnconditional() {
		stored, err := m.put(ctx, name, object, backend.Condition{Absent: version == "", Version: version})
		if !errors.Is(err, backend.ErrNoConditions) {
			return stored, err
		}
		m.remote.noteConditions(session.Unconditional)
	}
	now, err := m.version(ctx, name)
	if err == nil && now != version {
		err = backend.ErrConflict
	}
	if err != nil {
		return backend.Object{}, err
	}
	stored, err := m.put(ctx, name, object, backend.Condition{})
	if err == nil && stored.Version == "" {
		stored.Version, err = m.version(ctx, name)
	}
	return stored, err
}

// isUnconditional reports whether the store is known to have no conditional puts.
func (r *remote) isUnconditional() bool {
	return r.store.Traits().Unconditional || r.memory.Known(session.Unconditional)
}

// version returns the version of the object of a name, and an empty one if there is none.
func (m *manifests) version(ctx context.Context, name string) (string, error) {
	body, info, err := m.remote.store.Get(ctx, key(m.scope, name), backend.Range{Length: 1})
	if errors.Is(err, backend.ErrNotFound) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	return info.Version, body.Close()
}

// probe finds out whether the store minds conditions, unless that is known: it must not
// put r, whose object exists, as a new one. It reports whether the store has done so.
func (m *manifests) probe(ctx context.Context, r roster) (written bool) {
	if m.remote.memory.Known(session.Conditional) || m.remote.memory.Known(session.Unconditional) {
		return false
	}
	_, err := m.put(ctx, rosterName(m.profile.Module), r.text(), backend.Condition{Absent: true})
	switch {
	case errors.Is(err, backend.ErrConflict):
		m.remote.noteConditions(session.Conditional)
	case err == nil, errors.Is(err, backend.ErrNoConditions):
		m.remote.noteConditions(session.Unconditional)
	}
	return err == nil
}

// noteConditions remembers whether the store has conditional puts.
func (r *remote) noteConditions(f session.Fact) {
	if f == session.Unconditional {
		r.Log.Info("the remote has no conditional puts: of two builds that publish the same profile at the same moment, the last one wins")
	}
	if err := r.memory.Note(f, conditionsKept); err != nil {
		r.Log.Info("remember whether the remote has conditional puts", "err", err)
	}
}

// put writes the object of a name, on a condition.
func (m *manifests) put(ctx context.Context, name string, object []byte, cond backend.Condition) (backend.Object, error) {
	opts := backend.OptionsOf(object)
	opts.If = cond
	return m.remote.store.Put(ctx, key(m.scope, name), bytes.NewReader(object), opts)
}

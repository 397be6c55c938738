package cache

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/session"
)

const (
	// maxRoster is how many profiles a roster names.
	maxRoster = 16

	// rosterPatience is how long a publication tries to bring the roster up to date. If it
	// can't, others are doing so at the same time, and the next publication tries again.
	rosterPatience = 5 * time.Second
)

// errLate is the cause with which an attempt to bring the roster up to date ends.
var errLate = errors.New("others publish the same module")

// roster names the profiles of a module that were published in one scope, the last one
// first. Its object has a line for each, escaped as in a URL's query. It is not signed: who
// reads it only learns which manifests to ask for, and those are.
type roster struct {
	profiles []string
	version  string // of the object; "": there is none yet
}

// parseRoster returns the profiles that text names. It passes over what is no name.
func parseRoster(text string) (profiles []string) {
	for line := range strings.Lines(text) {
		name, err := url.QueryUnescape(strings.TrimSuffix(line, "\n"))
		if err != nil || name == "" || !fitsKey(name) || slices.Contains(profiles, name) {
			continue
		}
		if profiles = append(profiles, name); len(profiles) == maxRoster {
			break
		}
	}
	return profiles
}

// text returns the content of the roster's object.
func (r roster) text() []byte {
	var b strings.Builder
	for _, name := range r.profiles {
		fmt.Fprintln(&b, url.QueryEscape(name))
	}
	return []byte(b.String())
}

// begins reports whether the roster begins with profile.
func (r roster) begins(profile string) bool { return len(r.profiles) > 0 && r.profiles[0] == profile }

// beginWith puts profile in front.
func (r *roster) beginWith(profile string) {
	others := r.without(profile)
	r.profiles = append([]string{profile}, others[:min(len(others), maxRoster-1)]...)
}

// without returns the other profiles.
func (r roster) without(profile string) []string {
	return slices.DeleteFunc(slices.Clone(r.profiles), func(name string) bool { return name == profile })
}

// loadRoster returns the module's roster: the local copy if a session fetched it a moment
// ago and it need not be fresh, otherwise what the remote has. A module without one has an
// empty one.
func (m *manifests) loadRoster(ctx context.Context, fresh bool) (roster, error) {
	if !fresh && isFresh(m.rosterCopy) {
		if text, err := os.ReadFile(m.rosterCopy); err == nil {
			return roster{profiles: parseRoster(string(text))}, nil
		}
	}
	r, err := m.fetchRoster(ctx)
	if err == nil {
		m.saveRoster(r)
	}
	return r, err
}

// fetchRoster returns the roster that the remote has, and an empty one if it has none.
func (m *manifests) fetchRoster(ctx context.Context) (roster, error) {
	if m.remote.store.Traits().Appends {
		return m.fetchNewest(ctx)
	}
	body, info, err := m.remote.store.Get(ctx, key(m.scope, rosterName(m.profile.Module)), backend.Range{})
	if errors.Is(err, backend.ErrNotFound) {
		return roster{}, nil
	}
	if err != nil {
		return roster{}, err
	}
	defer body.Close()
	text, err := io.ReadAll(io.LimitReader(body, maxRoster*(maxEscapedName+1)))
	return roster{parseRoster(string(text)), info.Version}, err
}

// fetchNewest returns a roster with the profile that was published last. A store that
// appends knows which one that is, so it needs no object for that.
func (m *manifests) fetchNewest(ctx context.Context) (roster, error) {
	prefix := key(m.scope, manifestsOf(m.profile.Module))
	body, newest, err := m.remote.store.Get(ctx, prefix, backend.Range{Length: 1})
	if errors.Is(err, backend.ErrNotFound) {
		return roster{}, nil
	}
	if err != nil {
		return roster{}, err
	}
	return roster{profiles: parseRoster(strings.TrimPrefix(newest.Key, prefix))}, body.Close()
}

// saveRoster keeps a roster for the next sessions. Without the copy they ask the remote.
func (m *manifests) saveRoster(r roster) { _ = session.WriteFile(m.rosterCopy, r.text()) }

// enroll puts the profile, which was just published, in front of the module's roster. If
// others change the roster all the time, it stays as they write it.
func (m *manifests) enroll(ctx context.Context) error {
	if m.remote.store.Traits().Appends {
		return nil // the manifest is the newest one by now
	}
	ctx, cancel := context.WithTimeoutCause(ctx, rosterPatience, errLate)
	defer cancel()
	pause := firstPause
	for attempt := 1; ; attempt++ {
		err := m.tryEnroll(ctx)
		isBusy := isContention(err) && !errors.Is(err, backend.ErrConflict)
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil, isBusy && attempt == vainAttempts:
			m.remote.Log.Info("put the profile into the module's roster", "err", err)
			return nil
		case !isContention(err):
			return err
		}
		select {
		case <-time.After(rand.N(pause)):
		case <-ctx.Done():
		}
		pause = min(2*pause, maxPause)
	}
}

// tryEnroll is enroll, unless others change the roster at the same time. Then the error is
// one for which isContention holds.
func (m *manifests) tryEnroll(ctx context.Context) error {
	r, err := m.fetchRoster(ctx)
	if err != nil {
		return err
	}
	enrolled := r.begins(m.profile.Name)
	r.beginWith(m.profile.Name)
	if r.version != "" && m.probe(ctx, r) {
		enrolled = true
	}
	if !enrolled {
		_, err = m.replace(ctx, rosterName(m.profile.Module), r.text(), r.version)
	}
	if err == nil {
		m.saveRoster(r)
	}
	return err
}

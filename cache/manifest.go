package cache

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/localdisk"
	"github.com/larderbuild/larder/pack"
	"github.com/larderbuild/larder/session"
)

// manifestFresh is how long a manifest that one session has fetched serves the
// next ones on the same machine.
const manifestFresh = 5 * time.Minute

// published is a manifest as it was found in one scope.
type published struct {
	*pack.Manifest        // nil: it could not be had
	name           string // below the scope; "": there is none
	version        string // of the profile's object; "": the profile has none yet
	newer          bool   // a later version of larder wrote the object, which is left alone
}

// manifests reads and writes the manifests of one profile in one scope.
type manifests struct {
	remote     *remote
	scope      string
	profile    session.Profile
	copy       string // path of the local copy
	rosterCopy string // path of the local copy of the module's roster
}

func newManifests(r *remote, scope string, target session.Target) *manifests {
	folder := copiesDir(r.Local)
	_ = os.MkdirAll(folder, 0o700) // without it there are no copies
	copyOf := func(names ...string) string {
		sum := sha256.Sum256(fmt.Appendf(nil, "%q", append([]string{target.Remote, scope, target.Profile.Module}, names...)))
		return filepath.Join(folder, hex.EncodeToString(sum[:16]))
	}
	return &manifests{
		remote:     r,
		scope:      scope,
		profile:    target.Profile,
		copy:       copyOf(target.Profile.Name),
		rosterCopy: copyOf(),
	}
}

// copiesDir returns the folder of the copies of manifests, and of what goes with them.
func copiesDir(local *localdisk.Dir) string {
	return filepath.Join(local.Path(), "larder", "manifests")
}

// copyAge is how long a copy, or the note of a Restore, is kept. Copies serve for much
// shorter, but a person may restore today and save tomorrow.
const copyAge = 7 * 24 * time.Hour

// sweepCopies removes what was written long ago, files of killed writers included.
func sweepCopies(local *localdisk.Dir) error {
	files, err := os.ReadDir(copiesDir(local))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	errs := []error{err}
	for _, f := range files {
		errs = append(errs, session.RemoveOld(filepath.Join(copiesDir(local), f.Name()), copyAge))
	}
	return errors.Join(errs...)
}

// key returns the key of the profile's own manifest.
func (m *manifests) key() string { return key(m.scope, manifestName(m.profile)) }

// rosterSource returns the module's roster.
type rosterSource func(context.Context) (roster, error)

// load returns the profile's manifest: the local copy if a session fetched it a
// moment ago and it need not be fresh, otherwise what the remote has. A profile without a manifest begins with
// the one that the module's last build published, under another profile, as the roster
// says. A module without manifests has an empty one.
func (m *manifests) load(ctx context.Context, fresh bool, roster rosterSource) (published, error) {
	if !fresh {
		if found, ok := m.loadCopy(); ok {
			return found, nil
		}
	}
	return m.fetch(ctx, roster)
}

// fetch is load without the local copy, which it renews. If a manifest is refused,
// fetch returns an empty one and the error: the object is there all the same, for the
// next publication to replace.
func (m *manifests) fetch(ctx context.Context, roster rosterSource) (published, error) {
	found, object, err := m.get(ctx, manifestName(m.profile))
	if errors.Is(err, backend.ErrNotFound) {
		found, object, err = m.getLatest(ctx, roster)
		found.version, found.newer = "", false // it is another profile's
	}
	if err == nil && !found.newer {
		m.saveCopy(found.name, object, found.version)
	}
	return found, err
}

// getLatest returns the manifest of the module's other profile that was published
// last, and its object, and an empty one without an object if there is none.
func (m *manifests) getLatest(ctx context.Context, roster rosterSource) (found published, object []byte, err error) {
	r, err := roster(ctx)
	others := r.without(m.profile.Name)
	if err == nil && len(others) > 0 {
		found, object, err = m.get(ctx, manifestName(session.Profile{Module: m.profile.Module, Name: others[0]}))
	}
	if err == nil && len(others) == 0 || errors.Is(err, backend.ErrNotFound) {
		return published{Manifest: new(pack.Manifest)}, nil, nil
	}
	return found, object, err
}

// loadSibling is load for a profile that is not the session's own. A profile without a
// manifest has an empty one.
func (m *manifests) loadSibling(ctx context.Context, fresh bool) (published, error) {
	name := manifestName(m.profile)
	if !fresh {
		if found, ok := m.loadCopy(); ok && found.name == name {
			return found, nil
		}
	}
	found, object, err := m.get(ctx, name)
	if errors.Is(err, backend.ErrNotFound) { // collected since
		return published{Manifest: new(pack.Manifest)}, nil
	}
	if err == nil && !found.newer {
		m.saveCopy(name, object, found.version)
	}
	return found, err
}

// get returns the manifest of a name, and its object.
func (m *manifests) get(ctx context.Context, name string) (found published, object []byte, err error) {
	body, info, err := m.remote.store.Get(ctx, key(m.scope, name), backend.Range{})
	if err != nil {
		return found, nil, err
	}
	defer body.Close()
	decoded, object, err := pack.Read(body, m.place(name), m.remote.Policy.Trust)
	found = published{Manifest: decoded, name: name, version: info.Version}
	if refused(err) {
		found.Manifest = new(pack.Manifest)
	}
	if errors.Is(err, pack.ErrNewer) {
		m.remote.Log.Info(fmt.Sprintf("the manifest is left alone: %v", err), "key", key(m.scope, name))
		found.newer, err = true, nil
	}
	return found, object, err
}

// place returns where the object of a name lies.
func (m *manifests) place(name string) pack.Place { return pack.Place{Scope: m.scope, Name: name} }

// publish replaces old by next, and puts the profile in front of the module's roster. The
// error wraps backend.ErrConflict if another job has written since old was read. Another
// error may come after the manifest was written: then the roster is still the one before.
func (m *manifests) publish(ctx context.Context, old published, next *pack.Manifest) (written bool, err error) {
	name := manifestName(m.profile)
	object, err := next.Encode(m.place(name), m.remote.Policy.Key)
	if err != nil {
		return false, err
	}
	stored, err := m.replace(ctx, name, object, old.version)
	if err != nil {
		return false, err
	}
	m.saveCopy(name, object, stored.Version)
	return true, m.enroll(ctx)
}

// loadCopy returns the local copy, if a session wrote it a moment ago. The copy is
// the version and the name, a line each, and then the object, if there was one.
func (m *manifests) loadCopy() (published, bool) {
	if !isFresh(m.copy) {
		return published{}, false
	}
	content, err := os.ReadFile(m.copy)
	if err != nil {
		return published{}, false
	}
	parts := bytes.SplitN(content, []byte("\n"), 3)
	if len(parts) < 3 {
		return published{}, false
	}
	version, name, object := string(parts[0]), string(parts[1]), parts[2]
	if len(object) == 0 { // the remote had none
		return published{Manifest: new(pack.Manifest), version: version}, true
	}
	found, err := pack.Decode(object, m.place(name), m.remote.Policy.Trust)
	return published{Manifest: found, name: name, version: version}, err == nil
}

// isFresh reports whether a session wrote the copy at path a moment ago.
func isFresh(path string) bool {
	info, err := os.Stat(path)
	return err == nil && time.Since(info.ModTime()).Abs() <= manifestFresh
}

// saveCopy keeps a manifest for the next sessions. Without the copy they ask the
// remote, so saveCopy says nothing if it can't write one.
func (m *manifests) saveCopy(name string, object []byte, version string) {
	_ = session.WriteFile(m.copy, append([]byte(version+"\n"+name+"\n"), object...))
}

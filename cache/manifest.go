package cache

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/pack"
)

// manifestFresh is how long a manifest that one session has fetched serves the
// next ones on the same machine.
const manifestFresh = 5 * time.Minute

// published is a manifest as it was found in the remote, or the lack of one.
type published struct {
	*pack.Manifest
	version string // of the profile's own object; "" where it has none
}

// manifests reads and writes the manifests of one profile in one scope.
type manifests struct {
	remote  *remote
	profile Profile
	copy    string // file of the local copy
}

func newManifests(r *remote, target Target, local string) *manifests {
	sum := sha256.Sum256(fmt.Appendf(nil, "%q", []string{target.Remote, target.Scope, target.Profile.Module, target.Profile.Name}))
	folder := filepath.Join(local, "larder", "manifests")
	_ = os.MkdirAll(folder, 0o700) // without it there are no copies
	return &manifests{
		remote:  r,
		profile: target.Profile,
		copy:    filepath.Join(folder, hex.EncodeToString(sum[:16])),
	}
}

// load returns the profile's manifest: the local copy if a session fetched it a
// moment ago, else what the remote has. Where the profile has none yet, it is
// the one that the module's last build published, under another profile, and
// where the module has none an empty one.
func (m *manifests) load(ctx context.Context) (published, error) {
	if found, ok := m.loadCopy(); ok {
		return found, nil
	}
	return m.fetch(ctx)
}

// fetch is load without the local copy, which it renews.
func (m *manifests) fetch(ctx context.Context) (published, error) {
	object, version, err := m.get(ctx, m.profile.key())
	if errors.Is(err, backend.ErrNotFound) {
		object, err = m.getLatest(ctx)
	}
	if err != nil {
		return published{}, err
	}
	found, err := decodeManifest(object, version)
	if err == nil {
		m.saveCopy(object, version)
	}
	return found, err
}

// getLatest returns the manifest of the module's profile that was published
// last, and nothing if there is none.
func (m *manifests) getLatest(ctx context.Context) ([]byte, error) {
	name, _, err := m.get(ctx, m.profile.latestKey())
	if err == nil {
		var object []byte
		object, _, err = m.get(ctx, Profile{m.profile.Module, string(name)}.key())
		if err == nil {
			return object, nil
		}
	}
	if errors.Is(err, backend.ErrNotFound) {
		return nil, nil
	}
	return nil, err
}

// get reads a whole object below the scope.
func (m *manifests) get(ctx context.Context, key string) (object []byte, version string, err error) {
	body, info, err := m.remote.store.Get(ctx, m.remote.key(key), backend.Range{})
	if err != nil {
		return nil, "", err
	}
	defer body.Close()
	object, err = io.ReadAll(io.LimitReader(body, pack.MaxManifest+1))
	return object, info.Version, err
}

// decodeManifest reads a manifest; no bytes are an empty one. So is one that is
// corrupt, with the error: the object is there all the same, for the next one
// to replace.
func decodeManifest(object []byte, version string) (published, error) {
	found := published{Manifest: new(pack.Manifest), version: version}
	if len(object) == 0 {
		return found, nil
	}
	decoded, err := pack.Decode(object)
	if err == nil {
		found.Manifest = decoded
	}
	return found, err
}

// publish writes next in place of old, and makes it the module's latest. The
// error wraps backend.ErrConflict if somebody else wrote in between.
func (m *manifests) publish(ctx context.Context, old published, next *pack.Manifest) error {
	object, err := next.Encode()
	if err != nil {
		return err
	}
	stored, err := m.put(ctx, m.profile.key(), object, backend.Condition{Absent: old.version == "", Version: old.version})
	if err != nil {
		return err
	}
	m.saveCopy(object, stored.Version)
	_, err = m.put(ctx, m.profile.latestKey(), []byte(m.profile.Name), backend.Condition{})
	return err
}

func (m *manifests) put(ctx context.Context, key string, object []byte, cond backend.Condition) (backend.Object, error) {
	return m.remote.store.Put(ctx, m.remote.key(key), bytes.NewReader(object), backend.PutOptions{
		Size: int64(len(object)),
		MD5:  md5.Sum(object),
		If:   cond,
	})
}

// The local copy is the version, a line break, and the object.

func (m *manifests) loadCopy() (published, bool) {
	info, err := os.Stat(m.copy)
	if err != nil || time.Since(info.ModTime()).Abs() > manifestFresh {
		return published{}, false
	}
	content, err := os.ReadFile(m.copy)
	if err != nil {
		return published{}, false
	}
	version, object, ok := bytes.Cut(content, []byte("\n"))
	if !ok {
		return published{}, false
	}
	found, err := decodeManifest(object, string(version))
	return found, err == nil
}

// saveCopy keeps a manifest for the next sessions. Without the copy they ask
// the remote, so nothing is said where it can't be written.
func (m *manifests) saveCopy(object []byte, version string) {
	f, err := os.CreateTemp(filepath.Dir(m.copy), "new-*")
	if err != nil {
		return
	}
	_, err = f.Write(append([]byte(version+"\n"), object...))
	if errClose := f.Close(); err == nil {
		err = errClose
	}
	if err != nil || os.Rename(f.Name(), m.copy) != nil {
		os.Remove(f.Name())
	}
}

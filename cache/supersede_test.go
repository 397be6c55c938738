package cache_test

import (
	"crypto/sha256"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/backend/backendtest"
	"github.com/larderbuild/larder/cache"
	"github.com/larderbuild/larder/protocol"
	"github.com/larderbuild/larder/session"
)

// A get may wait for an entry that the build then puts itself. It waits until the body is
// in the local tier, and asks the remote for nothing else.
func TestPutOfWhatAGetWaitsFor(t *testing.T) {
	release, asked := make(chan struct{}), make(chan struct{}, 1)
	held := backendtest.Faulty(built(t), func(op, key string) backendtest.Fault {
		switch {
		case strings.Contains(key, "/p/"):
			asked <- struct{}{}
			<-release
		case op == "get" && strings.Contains(key, "/a/"):
			t.Errorf("asked for %s", key)
		}
		return backendtest.Fault{}
	})
	m := newMachine(t, t.TempDir(), held, under(profile))
	answer := make(chan protocol.OutputID, 1)
	m.Get(t.Context(), actionID("fmt"), func(e protocol.Entry, err error) {
		if err != nil {
			t.Error(err)
		}
		answer <- e.OutputID
	})
	<-asked // the manifest is loaded

	const own = "the build's own"
	body, writer := io.Pipe()
	put := make(chan error, 1)
	go func() {
		_, err := m.Put(t.Context(), protocol.Put{ActionID: actionID("fmt"), OutputID: sha256.Sum256([]byte(own)), Size: int64(len(own)), Body: body})
		put <- err
	}()
	io.WriteString(writer, own[:1]) // the put is under way
	select {
	case <-answer:
		t.Error("answered before the body is there")
	case <-time.After(20 * time.Millisecond):
	}
	io.WriteString(writer, own[1:])
	writer.Close()
	if err := <-put; err != nil {
		t.Fatal(err)
	}
	if got := <-answer; got != sha256.Sum256([]byte(own)) {
		t.Errorf("answered with %s", got)
	}
	close(release)
	m.wantHit(t, "fmt", own)
	m.Close(time.Minute)
	if got := m.warnings(); len(got) > 0 {
		t.Errorf("warnings: %q", got)
	}
}

// Another process may put an action while its entry is on the way from the remote. The local
// tier keeps what was put.
func TestPutByOthersWins(t *testing.T) {
	for name, test := range map[string]struct {
		on     func(*cache.SessionConfig)
		object string // what the entry comes in
	}{
		"over the prefetch": {under(profile), "/p/"},
		"over a lookup":     {func(*cache.SessionConfig) {}, "/a/"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			var put sync.Once
			store := backendtest.Faulty(built(t), func(op, key string) backendtest.Fault {
				if op == "get" && strings.Contains(key, test.object) {
					put.Do(func() {
						other := newMachine(t, dir, nil)
						other.put(t, "fmt", "of another process")
						other.Close(0)
					})
				}
				return backendtest.Fault{}
			})
			m := newMachine(t, dir, store, test.on)
			if _, _, err := m.get(t.Context(), "fmt"); err != nil {
				t.Error(err)
			}
			rebuild(t, m, packages[1:]...)
			m.wantHit(t, "fmt", "of another process")
			m.Close(0)
		})
	}
}

// A session that signs does not vouch for what another process has put in place of an
// entry that the prefetch had brought.
func TestSignsNothingPutByOthers(t *testing.T) {
	k := generate(t)
	store := built(t, signing(k))
	dir := t.TempDir()
	m := newMachine(t, dir, store, under(profile), signing(k))
	rebuild(t, m, packages...)
	other := newMachine(t, dir, nil)
	other.put(t, "fmt", "nobody vouches for this")
	other.Close(0)
	m.wantHit(t, "fmt", "nobody vouches for this")
	build(t, m, "news")
	m.Close(time.Minute)

	next := newMachine(t, t.TempDir(), store, under(profile), signing(k))
	defer next.Close(0)
	rebuild(t, next, append(packages, "news")...)
}

// What a session has put may be replaced by another process before it is uploaded. Neither
// the session nor Flush signs or uploads that.
func TestUploadsNothingPutByOthers(t *testing.T) {
	for name, change := range map[string]func(*cache.SessionConfig){
		"with a profile":    under(profile),
		"without a profile": func(*cache.SessionConfig) {},
	} {
		t.Run(name, func(t *testing.T) {
			k := generate(t)
			store, dir := backendtest.Memory(), t.TempDir()
			m := newMachine(t, dir, store, signing(k), change, func(c *cache.SessionConfig) { c.Linger = true })
			build(t, m, packages...)
			other := newMachine(t, dir, nil)
			other.put(t, "fmt", "nobody vouches for this")
			other.Close(0)
			if !m.Close(0) {
				t.Fatal("nothing is left")
			}
			if _, err := flush(t.Context(), dir, store, flushSigning(k)); err != nil {
				t.Error(err)
			}
			if n, err := session.Uploads(dir); n != 0 || err != nil {
				t.Errorf("%d uploads are left, %v", n, err)
			}
			next := newMachine(t, t.TempDir(), store, signing(k), change)
			defer next.Close(0)
			next.wantMiss(t, "fmt")
			rebuild(t, next, packages[1:]...)
		})
	}
}

// Two machines whose local tiers have different outputs of one action publish it once.
func TestTwoOutputsOfOneAction(t *testing.T) {
	store := backendtest.Memory()
	dirs := []string{t.TempDir(), t.TempDir()}
	for i, remote := range []backend.Store{store, nil} {
		m := newMachine(t, dirs[i], remote, under(profile))
		m.put(t, "test result", big(dirs[i]))
		m.Close(time.Minute)
	}
	recorded, requests := traced(store)
	for i := range 4 {
		dir := dirs[i%2]
		// The manifest is not the local copy of a moment ago.
		if err := os.RemoveAll(filepath.Join(dir, "larder", "manifests")); err != nil {
			t.Fatal(err)
		}
		m := newMachine(t, dir, recorded, under(profile), func(c *cache.SessionConfig) { c.Linger = true })
		m.wantMiss(t, "what nobody has") // once the manifest is loaded
		m.wantHit(t, "test result", big(dir))
		m.Close(time.Minute)
	}
	for _, line := range requests() {
		if strings.HasPrefix(line, "put") {
			t.Error(line)
		}
	}
}

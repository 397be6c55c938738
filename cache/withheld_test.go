package cache_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/backend/backendtest"
	"github.com/larderbuild/larder/cache"
	"github.com/larderbuild/larder/localdisk"
	"github.com/larderbuild/larder/pack"
	"github.com/larderbuild/larder/secrets"
)

const (
	secret  = "not-a-secret-but-taken-for-one"
	telling = "ok, and the token is " + secret + "\n"
)

// knowing gives a session a secret.
func knowing(c *cache.SessionConfig) {
	c.Policy.Secrets = secrets.New([]string{"DEPLOY_TOKEN=" + secret})
}

// named reports whether m names name's action.
func named(m *pack.Manifest, name string) bool {
	return slices.ContainsFunc(m.Entries, func(e pack.Entry) bool { return e.Action == actionID(name) })
}

// wantNoSecret fails the test if an object of store holds the secret. Those that
// could are too small to be compressed.
func wantNoSecret(t *testing.T, store backend.Store, prefix string) {
	t.Helper()
	for _, key := range keys(t, store, prefix) {
		object := read(t, store, key)
		if strings.Contains(key, "/m/") && !strings.HasSuffix(key, "@profiles") {
			m, err := pack.Decode(object, pack.Place{}, nil)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range m.Entries {
				object = append(object, e.Inline...)
			}
		}
		if bytes.Contains(object, []byte(secret)) {
			t.Errorf("the secret is in %s", key)
		}
	}
}

// wantNewsAlone has a session in dir that does not know the secret use the entry that
// holds it. The session publishes other news, and not that entry.
func wantNewsAlone(t *testing.T, dir string, store backend.Store) {
	t.Helper()
	m := newMachine(t, dir, store, under(profile))
	m.wantHit(t, "log", telling)
	build(t, m, "news")
	m.Close(time.Minute)
	if m := manifest(t, store, profile); named(m, "log") || !named(m, "news") {
		t.Errorf("the manifest names the log: %v, the news: %v", named(m, "log"), named(m, "news"))
	}
	wantNoSecret(t, store, "v1/")
}

// An entry that holds a secret is served here, and goes nowhere: not by the session that
// put it, not by one that knows no secrets and finds it in the local tier, and not by
// Flush.
func TestWithheld(t *testing.T) {
	store := backendtest.Memory()
	a := newMachine(t, t.TempDir(), store, under(profile), knowing)
	build(t, a, packages...)
	a.wantMiss(t, "log")
	a.put(t, "log", telling)
	a.put(t, "archive", archive("telling")+secret)
	a.wantHit(t, "log", telling)
	a.Close(time.Minute)
	if s := a.stats.Summary(); s.Withheld != 2 || s.Uploads != int64(2*len(packages)) {
		t.Errorf("stats: %+v", s)
	}
	log := a.log.String()
	if strings.Contains(log, secret) || strings.Count(log, "level=WARN") != 1 || !strings.Contains(log, "value of DEPLOY_TOKEN") || !strings.Contains(log, actionID("log").String()) {
		t.Errorf("log:\n%s", log)
	}
	for _, name := range []string{"log", "archive"} {
		if named(manifest(t, store, profile), name) {
			t.Errorf("the manifest names %s", name)
		}
	}

	// A session that does not know the secret uses the entry, and publishes other news.
	wantNewsAlone(t, a.dir, store)

	// A put of the same changes nothing. A put without the secret takes the mark away.
	c := newMachine(t, a.dir, store, under(profile))
	c.put(t, "log", telling)
	c.Close(time.Minute)
	wantNoSecret(t, store, "v1/")
	d := newMachine(t, a.dir, store, under(profile), knowing)
	d.put(t, "log", "ok\n")
	d.Close(time.Minute)
	if !named(manifest(t, store, profile), "log") {
		t.Error("the manifest lacks the log that holds no secret any more")
	}
}

// A session that uploads nothing, or not that entry, marks it for those that do.
func TestWithheldWhoeverPuts(t *testing.T) {
	for name, change := range map[string]func(*cache.SessionConfig){
		"read-only": func(c *cache.SessionConfig) { c.Upload = false },
		"no remote": func(c *cache.SessionConfig) { c.Store = nil },
		"too large": func(c *cache.SessionConfig) { c.MaxObject = 1 },
	} {
		t.Run(name, func(t *testing.T) {
			store := backendtest.Memory()
			a := newMachine(t, t.TempDir(), store, under(profile), knowing, change)
			a.put(t, "log", telling)
			a.Close(time.Minute)
			wantNewsAlone(t, a.dir, store)
		})
	}
}

// A put that holds a secret overtakes one that was still to be uploaded.
func TestWithheldBeforeFlush(t *testing.T) {
	store := backendtest.Memory()
	a := newMachine(t, t.TempDir(), backendtest.Faulty(store, func(string, string) backendtest.Fault {
		return backendtest.Fault{Err: errors.New("unavailable")}
	}), under(profile))
	a.put(t, "log", "ok\n")
	if !a.Close(time.Minute) {
		t.Fatal("nothing is left")
	}
	b := newMachine(t, a.dir, store, knowing)
	b.put(t, "log", telling)
	b.Close(time.Minute)
	if _, err := flush(t.Context(), a.dir, store); err != nil {
		t.Fatal(err)
	}
	wantNoSecret(t, store, "v1/")
	if len(keys(t, store, "v1/main/a/")) != 0 {
		t.Error("it was uploaded")
	}
}

// Save searches what a go command without larder has made. An entry that holds a secret
// leaves the manifest, too.
func TestSaveWithholds(t *testing.T) {
	store := backendtest.Memory()
	a := newMachine(t, t.TempDir(), nil)
	a.put(t, "log", telling)
	a.put(t, "other", big("other"))
	a.Close(0)
	save := func(known *secrets.Filter) {
		t.Helper()
		p := newPair(t, a.dir, store)
		p.Policy.Secrets = known
		if _, err := cache.Save(t.Context(), p.Config, p.store, p.target); err != nil {
			t.Fatal(err)
		}
	}
	save(secrets.New([]string{"DEPLOY_TOKEN=" + secret}))
	if m := manifest(t, store, profile); named(m, "log") || !named(m, "other") {
		t.Errorf("the manifest names the log: %v, the other: %v", named(m, "log"), named(m, "other"))
	}
	wantNoSecret(t, store, "v1/")
	save(nil)
	wantNoSecret(t, store, "v1/")
}

// A mark goes with its entry. To look whether the entry is there does not use it.
func TestSweep(t *testing.T) {
	a := newMachine(t, t.TempDir(), backendtest.Memory(), knowing)
	a.put(t, "log", telling)
	a.put(t, "other log", telling)
	a.Close(time.Minute)
	id := actionID("log").String()
	if err := os.Remove(filepath.Join(a.dir, id[:2], id+"-a")); err != nil {
		t.Fatal(err)
	}
	other := actionID("other log").String()
	unused, path := time.Now().Add(-48*time.Hour).Round(time.Second), filepath.Join(a.dir, other[:2], other+"-a")
	if err := os.Chtimes(path, unused, unused); err != nil {
		t.Fatal(err)
	}
	if err := cache.Sweep(localdisk.New(a.dir), 0); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || !info.ModTime().Equal(unused) {
		t.Errorf("last used at %v (%v), want %v", info.ModTime(), err, unused)
	}
	left, err := os.ReadDir(filepath.Join(a.dir, "larder", "withheld"))
	if err != nil || len(left) != 1 || left[0].Name() != other {
		t.Errorf("left: %v, %v", left, err)
	}
}

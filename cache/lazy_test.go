package cache_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/backend/backendtest"
	"github.com/larderbuild/larder/cache"
	"github.com/larderbuild/larder/localdisk"
	"github.com/larderbuild/larder/pack"
	"github.com/larderbuild/larder/protocol"
)

// archive is a body that begins as Go's compiler writes it, and is too large for
// a manifest.
func archive(name string) string { return head(name) + big(name) }

func head(name string) string {
	return "!<arch>\n" +
		"__.PKGDEF       0           0     0     644     7955      `\n" +
		"go object linux amd64 go1.26.8 X:none\n" +
		"build id \"" + name + "/content\"\n"
}

// lazy makes a session lazy. The test fails if it needs its last resorts.
func lazy(t *testing.T) func(*cache.SessionConfig) {
	return lazily(cache.Lazy{
		Rebuild: func(context.Context) error { t.Error("built again"); return nil },
		Abandon: func(err error) { t.Errorf("abandoned: %v", err) },
	})
}

func lazily(l cache.Lazy) func(*cache.SessionConfig) {
	return func(c *cache.SessionConfig) { c.Lazy = &l }
}

// compile puts archives of names, as a build from nothing would.
func compile(t *testing.T, m *machine, names ...string) {
	t.Helper()
	for _, name := range names {
		m.wantMiss(t, name)
		m.put(t, name, archive(name))
		m.put(t, name+" vet", big(name+" vet"))
		m.put(t, name+" stdout", "")
	}
}

// compiled returns a store in which a build of packages was published.
func compiled(t *testing.T) backend.Store {
	t.Helper()
	store := backendtest.Memory()
	m := newMachine(t, t.TempDir(), store, under(profile))
	compile(t, m, packages...)
	if m.Close(time.Minute) {
		t.Fatal("something is left")
	}
	return store
}

// wantLazy expects that a get of name is answered with its head and a hole.
func wantLazy(t *testing.T, m *machine, name string) protocol.Entry {
	t.Helper()
	hole := strings.Repeat("\x00", len(archive(name))-len(head(name)))
	return m.wantHit(t, name, head(name)+hole)
}

func wantWhole(t *testing.T, e protocol.Entry, name string) {
	t.Helper()
	if got, err := os.ReadFile(e.DiskPath); err != nil || string(got) != archive(name) {
		t.Errorf("%s: %d bytes that begin with %q, %v", name, len(got), got[:min(len(got), 20)], err)
	}
}

// wantNoSessions expects that no session has left anything in dir.
func wantNoSessions(t *testing.T, dir string) {
	t.Helper()
	left, err := os.ReadDir(filepath.Join(dir, "larder", "sessions"))
	if err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

// A build of which the manifest knows everything does without the bytes of archives.
func TestLazy(t *testing.T) {
	store, requests := traced(compiled(t))
	m := newMachine(t, t.TempDir(), store, under(profile), lazy(t))
	for _, name := range packages {
		e := wantLazy(t, m, name)
		if again := wantLazy(t, m, name); again != e {
			t.Errorf("%+v, then %+v", e, again)
		}
		m.wantHit(t, name+" vet", big(name+" vet"))
		m.wantHit(t, name+" stdout", "")
	}
	if m.Close(time.Minute) {
		t.Error("something is left")
	}
	wantNoSessions(t, m.dir)
	if got := requests(); len(got) != 2 {
		t.Errorf("requests:\n%s", strings.Join(got, "\n"))
	}
	s := m.stats.Summary()
	if s.Lazy != 4 || s.Filled != 0 || s.LazyBytes <= 0 || s.PrefetchHits != 16 || s.Misses != 0 || s.Saved <= 0 {
		t.Errorf("stats: %+v", s)
	}
	if _, _, err := localdisk.New(m.dir).Get(actionID("fmt")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the local tier has an archive that was not brought: %v", err)
	}

	// The next command of the job asks the remote for nothing.
	next := newMachine(t, m.dir, store, under(profile), lazy(t))
	defer next.Close(0)
	for _, name := range packages {
		wantLazy(t, next, name)
		next.wantHit(t, name+" vet", big(name+" vet"))
		next.wantHit(t, name+" stdout", "")
	}
	if got := requests(); len(got) != 2 {
		t.Errorf("requests after another command:\n%s", strings.Join(got, "\n"))
	}
}

// A manifest may name heads that are not those of the archives. The build ends then, and
// compiles nothing against them.
func TestForgedHead(t *testing.T) {
	store := compiled(t)
	forged := manifest(t, store, profile)
	for i := range forged.Entries {
		if e := &forged.Entries[i]; e.Head != nil {
			e.Head = []byte(strings.Replace(string(e.Head), "/content", "/another", 1))
		}
	}
	object, err := forged.Encode(pack.Place{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	write(t, store, "v1/main/m/v5/example.com%2Fpantry/linux-amd64", object)

	var reason error
	ctx, cancel := context.WithCancel(t.Context())
	m := newMachine(t, t.TempDir(), store, under(profile), lazily(cache.Lazy{
		Rebuild: func(context.Context) error { return nil },
		Abandon: func(err error) { reason = err; cancel() },
	}))
	defer m.Close(0)
	m.wantHit(t, "fmt", strings.Replace(head("fmt"), "/content", "/another", 1)+strings.Repeat("\x00", len(big("fmt"))))
	_, _, _ = m.get(ctx, "what was changed")
	if reason == nil || !strings.Contains(reason.Error(), "begin") {
		t.Errorf("abandoned: %v", reason)
	}
}

// A command that links needs the bytes each time. The manifest remembers that.
func TestEagerCommand(t *testing.T) {
	store := compiled(t)
	command := func(c *cache.SessionConfig) { c.Command, c.Links = [32]byte{1}, true }
	link := func(first string) {
		t.Helper()
		m := newMachine(t, t.TempDir(), store, under(profile), lazy(t), command)
		m.wantHit(t, "fmt", first)
		m.wantMiss(t, "link pantry") // and no put
		if m.Close(time.Minute) {
			t.Error("something is left")
		}
	}
	link(head("fmt") + strings.Repeat("\x00", len(big("fmt"))))
	if m := manifest(t, store, profile); len(m.Eager) != 1 || m.Eager[0].Command != [32]byte{1} {
		t.Fatalf("eager commands: %+v", m.Eager)
	}
	link(archive("fmt"))

	// Another command does not.
	m := newMachine(t, t.TempDir(), store, under(profile), lazy(t))
	defer m.Close(0)
	wantLazy(t, m, "fmt")
}

// A flush, in the background or not, brings what a session did without.
func TestBringLater(t *testing.T) {
	for name, upload := range map[string]bool{"a writer": true, "a reader": false} {
		t.Run(name, func(t *testing.T) {
			store := compiled(t)
			m := newMachine(t, t.TempDir(), store, under(profile), lazily(cache.Lazy{}),
				func(c *cache.SessionConfig) { c.Upload, c.Linger = upload, true })
			wantLazy(t, m, "fmt")
			if !m.Close(0) {
				t.Error("nothing is left")
			}
			stats, err := flush(t.Context(), m.dir, store, func(c *cache.FlushConfig) { c.ReadOnly = !upload })
			if err != nil || stats.Summary().Uploads > 0 {
				t.Errorf("%v, %d uploads", err, stats.Summary().Uploads)
			}
			wantNoSessions(t, m.dir)
			alone := newMachine(t, m.dir, nil)
			defer alone.Close(0)
			for _, name := range packages {
				alone.wantHit(t, name, archive(name))
			}
		})
	}
}

// A lazy session with a budget of nothing asks for nothing, and says nothing.
func TestLazyWithoutBudget(t *testing.T) {
	m := newMachine(t, t.TempDir(), compiled(t), under(profile), lazy(t), func(c *cache.SessionConfig) { c.Budget = 0 })
	for _, name := range packages {
		m.wantMiss(t, name)
	}
	m.Close(0)
	if got := m.warnings(); len(got) > 0 {
		t.Errorf("warnings: %q", got)
	}
}

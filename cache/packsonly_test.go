package cache_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/backend/backendtest"
	"github.com/larderbuild/larder/cache"
	"github.com/larderbuild/larder/session"
)

// packsOnly gives a session no entry objects.
func packsOnly(c *cache.SessionConfig) { c.PacksOnly = true }

// job is a session of a profile of the module, without entry objects.
func job(name string) func(*cache.SessionConfig) {
	return func(c *cache.SessionConfig) {
		packsOnly(c)
		c.Target.Profile = session.Profile{Module: profile.Module, Name: name}
	}
}

// Without entry objects a cold build writes a pack, a manifest and a roster, and a get that
// no manifest promises asks for nothing.
func TestPacksOnly(t *testing.T) {
	store, requests := traced(backendtest.Memory())
	a := newMachine(t, t.TempDir(), store, job("build"))
	build(t, a, packages...)
	a.Close(0)
	if n := len(requests()); n > 2 {
		t.Errorf("%d requests, want one for the manifest and one for the roster: %q", n, requests())
	}
	if _, err := flush(t.Context(), a.dir, store); err != nil {
		t.Fatal(err)
	}
	if n := count(requests(), "put"); n != 3 {
		t.Errorf("%d puts: %q", n, requests())
	}
	if objects := keys(t, store, "v1/main/a/"); len(objects) > 0 {
		t.Errorf("entry objects: %q", objects)
	}

	b := newMachine(t, t.TempDir(), store, job("build"))
	rebuild(t, b, packages...)
	before := len(requests())
	b.wantMiss(t, "something else")
	if again := requests(); len(again) != before {
		t.Errorf("a miss asks %q", again[before:])
	}
	b.Close(time.Minute)
	if s := b.stats.Summary(); s.PrefetchHits != int64(2*len(packages)) || s.Uploads != 0 || s.RemoteBytesOut != 0 {
		t.Errorf("stats: %+v", s)
	}
}

// Without a profile there is nothing that could be published or found.
func TestPacksOnlyWithoutProfile(t *testing.T) {
	store, requests := traced(backendtest.Memory())
	m := newMachine(t, t.TempDir(), store, packsOnly)
	build(t, m, packages...)
	if m.Close(time.Minute) || len(requests()) > 0 {
		t.Errorf("something is left, or was asked: %q", requests())
	}
}

// Where requests are scarce, a flush asks for its own manifest alone: a moment ago the session
// has fetched those of the scopes that are only read.
func TestFlushWhereRequestsAreScarce(t *testing.T) {
	store, requests := traced(backendtest.Appending())
	a := newMachine(t, t.TempDir(), store, job("build"))
	build(t, a, packages...)
	a.Close(time.Minute)
	b := newMachine(t, t.TempDir(), store, job("build"), pull("pr-7"), func(c *cache.SessionConfig) { c.Defer = true })
	rebuild(t, b, packages...)
	build(t, b, "news")
	b.Close(0)
	before := len(requests())
	if _, err := flush(t.Context(), b.dir, store, func(c *cache.FlushConfig) { c.PacksOnly = true }); err != nil {
		t.Fatal(err)
	}
	for _, line := range requests()[before:] {
		if strings.Contains(line, " v1/main/") {
			t.Errorf("the flush asks %q", line)
		}
	}
	if n := count(requests()[before:], "put"); n != 2 {
		t.Errorf("%d puts: %q", n, requests()[before:])
	}
}

// A session that looks entries up one by one asks for its own manifest alone.
func TestEntryObjectsNeedNoSiblings(t *testing.T) {
	store := built(t)
	other := newMachine(t, t.TempDir(), store, under(session.Profile{Module: profile.Module, Name: "other"}))
	build(t, other, "other")
	other.Close(time.Minute)
	recorded, requests := traced(store)
	m := newMachine(t, t.TempDir(), recorded, under(profile))
	rebuild(t, m, packages...)
	m.Close(0)
	if got := requests(); len(got) != 2 { // the manifest and the pack
		t.Errorf("requests: %q", got)
	}
}

// A lazy session gives out the heads of a sibling's archives, too, and makes them whole before
// a miss.
func TestLazySiblings(t *testing.T) {
	store, requests := traced(backendtest.Memory())
	own := newMachine(t, t.TempDir(), store, job("own"))
	own.put(t, "own", big("own"))
	own.Close(time.Minute)
	a := newMachine(t, t.TempDir(), store, job("other"))
	compile(t, a, packages...)
	a.Close(time.Minute)

	m := newMachine(t, t.TempDir(), store, job("own"), lazy(t))
	first := wantLazy(t, m, packages[0])
	wantLazy(t, m, packages[1])
	before := len(requests())
	m.wantMiss(t, "something new")
	wantWhole(t, first, packages[0])
	if n := count(requests()[before:], "get"); n > 2 { // the sibling's pack, and its own
		t.Errorf("the barrier: %q", requests()[before:])
	}
	m.put(t, "something new", "news")
	m.wantHit(t, packages[2], archive(packages[2]))
	m.Close(time.Minute)
	if s := m.stats.Summary(); s.Lazy != 2 || s.Filled != 2 {
		t.Errorf("stats: %+v", s)
	}
}

// What a fault has kept away is fetched alone, since there is no entry object to look up.
// So is what the local tier had no room for.
func TestPacksOnlyFetchesAlone(t *testing.T) {
	store := backendtest.Memory()
	for _, name := range []string{"own", "other"} {
		m := newMachine(t, t.TempDir(), store, job(name))
		build(t, m, name)
		m.Close(time.Minute)
	}
	for name, change := range map[string]func(*cache.SessionConfig){
		"after a fault": func(c *cache.SessionConfig) {
			c.Store = stumbling(c.Store, backendtest.Fault{Err: errors.New("connection reset")}, 2, "get", "/p/")
		},
		"without room": func(c *cache.SessionConfig) { c.MaxSize = 1 },
	} {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t, t.TempDir(), store, job("own"), change)
			defer m.Close(0)
			for _, body := range []string{"own", "other"} {
				if _, _, err := m.get(t.Context(), body); err != nil { // the one that meets the fault
					m.wantHit(t, body, big(body))
				}
			}
		})
	}
}

// Jobs of one module that publish at the same time all get into the roster, the last of as
// many as it has room for.
func TestRoster(t *testing.T) {
	store := backendtest.Memory()
	var jobs sync.WaitGroup
	for i := range 8 {
		m := newMachine(t, t.TempDir(), store, job(fmt.Sprint("job ", i)))
		build(t, m, fmt.Sprint("news ", i))
		jobs.Go(func() { m.Close(time.Minute) })
	}
	jobs.Wait()
	m := newMachine(t, t.TempDir(), store, job("another"))
	for i := range 8 {
		rebuild(t, m, fmt.Sprint("news ", i))
	}
	m.Close(time.Minute)
	for i := range 20 {
		m := newMachine(t, t.TempDir(), store, job(fmt.Sprint("more ", i)))
		m.put(t, fmt.Sprint(i), "news")
		m.Close(time.Minute)
	}
	lines := strings.Fields(string(read(t, store, "v1/main/m/v5/example.com%2Fpantry/@profiles")))
	if len(lines) != 16 || lines[0] != "more+19" || lines[15] != "more+4" {
		t.Errorf("roster: %q", lines)
	}
}

// What a killed session has put gets into a manifest by the next flush.
func TestKilledPacksOnly(t *testing.T) {
	if root := os.Getenv("LARDER_TEST_VICTIM"); root != "" {
		m := newMachine(t, filepath.Join(root, "local"), openDir(t, root), job("build"))
		build(t, m, packages...)
		m.put(t, packages[0], big(packages[0])) // as a link does
		os.Stdout.WriteString("!")
		time.Sleep(time.Minute)
	}
	root := t.TempDir()
	cmd := exec.Command(os.Args[0], "-test.run=^TestKilledPacksOnly$")
	cmd.Env = append(os.Environ(), "LARDER_TEST_VICTIM="+root)
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err == nil {
		_, err = out.Read(make([]byte, 1))
	}
	if err != nil {
		t.Fatal(err)
	}
	cmd.Process.Kill()
	cmd.Wait()
	store := openDir(t, root)
	stats, err := flush(t.Context(), filepath.Join(root, "local"), store)
	if err != nil || stats.Summary().Published != int64(2*len(packages)) {
		t.Errorf("%v, %+v", err, stats.Summary())
	}
	m := newMachine(t, t.TempDir(), store, job("build"))
	defer m.Close(0)
	rebuild(t, m, packages...)
}

// What a denied or unreachable remote does not take stays in the journal, as one line says.
func TestPacksOnlyAgainstFaults(t *testing.T) {
	for name, fault := range map[string]error{"denied": backend.ErrDenied, "faulty": errors.New("connection reset")} {
		t.Run(name, func(t *testing.T) {
			store := backendtest.Memory()
			m := newMachine(t, t.TempDir(), stumbling(store, backendtest.Fault{Err: fault}, 1<<30, "put", "/p/", "/m/"), job("build"))
			build(t, m, packages...)
			left := m.Close(time.Minute)
			if said := m.warnings(); left != (name == "faulty") || len(said) != 1 || !strings.Contains(said[0], "could not publish") {
				t.Errorf("left: %v; warnings: %q", left, said)
			}
			if _, err := flush(t.Context(), m.dir, store); err != nil {
				t.Fatal(err)
			}
			next := newMachine(t, t.TempDir(), store, job("build"))
			defer next.Close(0)
			rebuild(t, next, packages...)
		})
	}
}

// Save stores nothing again that a sibling has.
func TestSaveLends(t *testing.T) {
	store := backendtest.Memory()
	dir := t.TempDir()
	a := newMachine(t, dir, store, job("build"))
	build(t, a, packages...)
	a.Close(time.Minute)
	cfg := a.Config
	cfg.Stats = new(cache.Stats)
	to := target
	to.Profile = session.Profile{Module: profile.Module, Name: "save"}
	first := len(keys(t, store, "v1/main/p/"))
	saved, err := cache.Save(t.Context(), cfg, store, to)
	if err != nil || !saved.Published {
		t.Fatalf("%+v, %v", saved, err)
	}
	if n := len(keys(t, store, "v1/main/p/")); n != first {
		t.Errorf("%d packs, had %d", n, first)
	}
}

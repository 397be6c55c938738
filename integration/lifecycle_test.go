package integration

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/larderbuild/larder/integration/harness"
	"github.com/larderbuild/larder/protocol"
	"github.com/larderbuild/larder/session"
	"github.com/larderbuild/larder/testserver"
)

// damage returns what is wrong in m's local tier; see [harness.Tier.Damage].
func (m *machine) damage() (found []error) {
	tier := harness.Tier{Dir: m.dir}
	return tier.Damage()
}

// wantWhole checks that m's local tier is whole, and that every object in s is
// intact; it returns the number of entries in entry objects.
func (s store) wantWhole(t *testing.T, m *machine) (entries int) {
	t.Helper()
	for _, err := range m.damage() {
		t.Errorf("local tier: %v", err)
	}
	return s.wantIntact(t)
}

// wantIntact checks every object in s, and returns the number of entries in entry objects.
func (s store) wantIntact(t *testing.T) (entries int) {
	t.Helper()
	entries, damaged := harness.Objects(s.folder)
	for _, err := range damaged {
		t.Errorf("store: %v", err)
	}
	return entries
}

// pending returns how many uploads m has still to do.
func (m *machine) pending() int {
	m.t.Helper()
	n, err := session.Uploads(m.dir)
	if err != nil {
		m.t.Fatal(err)
	}
	return n
}

// wantNoSessions checks that m holds nothing of sessions that are over.
func (m *machine) wantNoSessions() {
	m.t.Helper()
	left, err := os.ReadDir(filepath.Join(m.dir, "larder", "sessions"))
	if err != nil || len(left) > 0 {
		m.t.Errorf("sessions left: %v, %v", left, err)
	}
	if left := m.journals(); len(left) > 0 {
		m.t.Errorf("journals left: %q", left)
	}
}

// waitFor waits until ready returns true.
func (m *machine) waitFor(ready func() bool) {
	m.t.Helper()
	for range 6000 {
		if ready() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	m.t.Fatal("what was waited for did not happen")
}

// journals returns the paths of the journals that sessions have left on m.
func (m *machine) journals() []string {
	m.t.Helper()
	paths, err := filepath.Glob(filepath.Join(m.dir, "larder", "journals", "*-*-*-*"))
	if err != nil {
		m.t.Fatal(err)
	}
	return paths
}

// TestLinger: a build whose output is read through a pipe, as by tee or CI,
// ends when the build does, and not when its uploads do.
func TestLinger(t *testing.T) {
	t.Parallel()
	packages := 60
	if whole {
		packages = 200
	}
	c := newChained(t, packages)
	s := s3Store(t)
	link := testserver.Proxy(t, s.endpoint)
	link.Hang() // no upload ends beside the build, however slow it is; a slow one says so
	m := s.machine(t, c, link.Endpoint, "LARDER_CLOSE=linger", "LARDER_BUDGET=0", "LARDER_TIMEOUT="+hopeless.String(), "LARDER_LOG=error")

	// The pipe, and this test with it, ends when nobody has its other end.
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	r := m.await(m.command(ctx, "go", "build", "."))
	if r.status != 0 || r.stderr != "" {
		t.Fatalf("exit status %d\n%s", r.status, r.stderr)
	}
	left := m.pending()
	if left < packages*5/2 {
		t.Fatalf("%d uploads to go: this test shows nothing", left)
	}
	link.Heal()
	link.Latency(50 * time.Millisecond)
	r = m.must(larder, "flush")
	if entries := s.wantWhole(t, m); entries != left || m.pending() != 0 {
		t.Errorf("flush left %d uploads, of %d; there are %d entries\n%s%s", m.pending(), left, entries, r.stdout, r.stderr)
	}
	m.wantNoSessions()
	s.wantFull(t, c)
}

// TestWait: with LARDER_CLOSE=wait nothing is left to do when the go command
// returns.
func TestWait(t *testing.T) {
	t.Parallel()
	c := newChained(t, 50)
	s := s3Store(t)
	link := testserver.Proxy(t, s.endpoint)
	link.Latency(50 * time.Millisecond)
	m := s.machine(t, c, link.Endpoint, "LARDER_CLOSE_TIMEOUT=5m", "LARDER_BUDGET=0")
	r := c.build(m)
	entries := s.wantWhole(t, m)
	if r.stderr != "" || m.pending() != 0 || entries < 2*c.packages || int64(entries) != r.stats.Uploads {
		t.Errorf("%d to do, %d entries, %+v\n%s", m.pending(), entries, r.stats, r.stderr)
	}
	m.wantNoSessions()
}

// TestDefer: with LARDER_CLOSE=defer a job of many go commands writes nothing to the
// remote, and neither does a process in the background. One flush publishes all of them
// at once.
func TestDefer(t *testing.T) {
	t.Parallel()
	c, s := usualChain(t), s3Store(t)
	m := s.machine(t, c, s.endpoint, "LARDER_CLOSE=defer")
	for i := range c.packages - 1 {
		r := m.must("go", "build", fmt.Sprintf("./p%03d", i))
		if r.stats.Puts == 0 || r.stats.Uploads > 0 {
			t.Errorf("command %d: %+v", i, r.stats)
		}
	}
	if objects, journals := contents(t, s.folder), m.journals(); len(objects) > 0 || len(journals) < c.packages-1 {
		t.Errorf("%d journals; the remote holds %v", len(journals), objects)
	}
	m.must(larder, "flush")
	m.wantNoSessions()
	packs, err := filepath.Glob(filepath.Join(s.folder, "v1", "*", "p", "*", "*"))
	if err != nil || len(packs) != 1 {
		t.Errorf("packs: %q, %v", packs, err)
	}
	s.wantWhole(t, m)
	again := s.machine(t, c, s.endpoint)
	if r := again.must("go", "build", "./..."); r.stats.PrefetchHits < int64(2*(c.packages-1)) || r.stats.RemoteHits > 0 {
		t.Errorf("another machine: %+v", r.stats)
	}
}

// TestEndOfInput: commands that never say close upload what they put all the
// same, and so do those that fail. Where whole is not set, vet runs in one mode.
func TestEndOfInput(t *testing.T) {
	t.Parallel()
	c, server := usualChain(t), s3Store(t)
	broken := writeChained(t, t.TempDir(), 5)
	broken.write(t, "main.go", "package main\n\nimport \"example.com/chained/p003\"\n\nfunc main() { p003.Len() + nonsense }\n")
	unloadable := writeChained(t, t.TempDir(), 5)
	unloadable.write(t, "main.go", "package main\n\nimport \"example.com/chained/nowhere\"\n\nfunc main() { nowhere.Len() }\n")
	for name, test := range map[string]struct {
		in      *chained
		command string
		status  int
		uploads int
	}{
		"list":                    {c, "list -export ./...", 0, 2 * c.packages},
		"list of what is broken":  {broken, "list -e -export ./...", 0, 2 * (broken.packages - 1)},
		"build of what is broken": {broken, "build ./...", 1, 2 * (broken.packages - 1)},
		"vet of what is broken":   {broken, "vet ./...", 1, 2 * (broken.packages - 1)},
		"nothing that loads":      {unloadable, "build ./...", 1, 0},
	} {
		for _, mode := range []string{"wait", "linger"} {
			if !whole && mode == "linger" && strings.HasPrefix(test.command, "vet") {
				continue // it ends as the build does, and checks the standard library
			}
			t.Run(name+"/"+mode, func(t *testing.T) {
				t.Parallel()
				s := server.apart(name + mode)
				m := s.machine(t, test.in, s.endpoint, "LARDER_CLOSE="+mode)
				r := m.try("go", strings.Fields(test.command)...)
				if r.status != test.status || r.sessions == 0 || strings.Contains(r.stderr, "larder: ") {
					t.Errorf("exit status %d, %d sessions\n%s", r.status, r.sessions, r.stderr)
				}
				// No go command waits for a helper that it did not close.
				m.must(larder, "flush")
				if entries := s.wantWhole(t, m); entries < test.uploads {
					t.Errorf("%d objects, want %d or more", entries, test.uploads)
				}
				m.wantNoSessions()
			})
		}
	}
}

// TestOptionsInGOCACHEPROG: an option may have the name of a command as its value.
func TestOptionsInGOCACHEPROG(t *testing.T) {
	t.Parallel()
	c, s := usualChain(t), s3Store(t)
	m := s.machine(t, c, s.endpoint, "LARDER_CLOSE=")
	for _, args := range []string{"--close linger", "--close=wait", "--stats 1 --close linger"} {
		m.env = append(m.env, "GOCACHEPROG="+larder+" "+args)
		r := c.build(m)
		if r.sessions+strings.Count(r.stderr, " gets: ") != 1 {
			t.Errorf("%s:\n%s", args, r.stderr)
		}
	}
}

// TestNoDirectory: where LARDER_DIR can't be had, the build goes on in another folder, and
// the remote serves. TestNoDir, for root, has more such builds.
func TestNoDirectory(t *testing.T) {
	t.Parallel()
	c, s := usualChain(t), s3Store(t)
	s.fill(t, c)
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	for name, settings := range map[string][]string{
		"a file":       {"LARDER_DIR=" + file},
		"under a file": {"LARDER_DIR=" + filepath.Join(file, "x")},
		"no home":      {"LARDER_DIR=", "HOME=", "XDG_CACHE_HOME=", goPath(t)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			// Without the standard library in a tier, only packages are built.
			m := newMachine(t, c.dir, s.url(s.endpoint), append(s.env, append(settings, "TMPDIR="+t.TempDir())...)...)
			r := m.must("go", "build", "./p003")
			if name == "no home" { // there is GOCACHE
				wantQuiet(t, r)
			} else {
				r.wantOneLine(t)
			}
			if r.fromRemote() < 2*4 {
				t.Errorf("%s", r.stats)
			}
		})
	}
}

// TestLingerTogether: what go commands leave to the background while builds are under way is
// published in a few pieces.
func TestLingerTogether(t *testing.T) {
	t.Parallel()
	c, s := usualChain(t), s3Store(t)
	m := s.machine(t, c, s.endpoint, "LARDER_CLOSE=linger")
	long := dial(t, m.command(t.Context(), larder))
	long.get(protocol.ActionID{}) // so its session is under way
	for i := range c.packages - 1 {
		m.must("go", "build", fmt.Sprintf("./p%03d", i))
	}
	long.close()
	m.must(larder, "flush")
	packs, err := filepath.Glob(filepath.Join(s.folder, "v1", "*", "p", "*", "*"))
	if err != nil || len(packs) == 0 || 2*len(packs) > c.packages-1 {
		t.Errorf("%d go commands left %d packs, %v", c.packages-1, len(packs), err)
	}
	s.wantWhole(t, m)
}

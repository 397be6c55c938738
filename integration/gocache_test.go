package integration

import (
	"strings"
	"testing"
)

// TestNativeCache shows that the go command's own cache is a local tier that is
// full on the first day.
func TestNativeCache(t *testing.T) {
	p := newStockedPantry(t)
	plain := plainOutcomes(p.plain(t), someGoals())
	m := newMachine(t, p.work, "", "LARDER_DIR="+p.tier)
	for _, g := range plain {
		out := m.reach(g.goal, "-x")
		wantSame(t, out, g.plain)
		wantNoCompiles(t, out.result)
		if out.stats.LocalHits == 0 {
			t.Errorf("go %s: nothing came from the local tier: %s", g.name, out.stats)
		}
	}
}

// TestTierWithoutLarder shows that what larder brought from a remote serves the
// go command afterwards, without a helper.
func TestTierWithoutLarder(t *testing.T) {
	p, remote := newStockedPantry(t), directory(t)
	first := p.machine(t, remote)
	for _, g := range someGoals() {
		first.reach(g)
	}
	second := p.machine(t, remote)
	var reachedBefore []reached
	for _, g := range someGoals() {
		reachedBefore = append(reachedBefore, reached{g, second.reach(g)})
	}
	m := newMachine(t, p.work, "", "GOCACHEPROG=", "GOCACHE="+p.tier)
	for _, g := range reachedBefore {
		out := m.reach(g.goal, "-x")
		wantSame(t, out, g.plain)
		wantNoCompiles(t, out.result)
		if out.sessions > 0 {
			t.Errorf("go %s: larder ran", g.name)
		}
	}
}

// TestCleanTestcache shows that test results keep the time at which they were
// made: what is older than a go clean -testcache does not count, wherever it
// comes from.
func TestCleanTestcache(t *testing.T) {
	p, remote := newStockedPantry(t), directory(t)
	ran := func(m *machine) bool {
		t.Helper()
		out := m.must("go", "test", "./...").stdout
		cached := strings.Count(out, "\t(cached)")
		if results := strings.Count(out, "ok  \t"); results != 4 || cached != 0 && cached != results {
			t.Fatalf("want 4 packages, all cached or none:\n%s", out)
		}
		return cached == 0
	}
	want := func(what string, got, want bool) {
		t.Helper()
		if got != want {
			t.Errorf("%s: tests ran: %t, want %t", what, got, want)
		}
	}

	first := p.machine(t, remote)
	want("nothing is cached", ran(first), true)
	want("everything is cached", ran(first), false)

	second := p.machine(t, remote)
	want("everything is in the remote", ran(second), false)

	third := p.machine(t, remote)
	// Where there is no GOCACHE yet, the go command has nothing to clean.
	third.must("go", "build", "./...")
	third.must("go", "clean", "-testcache")
	want("what is in the remote is older than the clean", ran(third), true)
	want("what was stored since is not", ran(third), false)
	third.must("go", "clean", "-testcache")
	want("what is in the local tier is older than the clean", ran(third), true)

	fourth := p.machine(t, remote)
	want("the last result is in the remote", ran(fourth), false)
}

package integration

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/larderbuild/larder/testserver"
)

// TestKilledAtRandom kills larder or the go command at many moments of builds
// in which misses come after hits. What is in the local tier is whole at every
// time, the next build is right, and nothing half done stays.
func TestKilledAtRandom(t *testing.T) {
	t.Parallel()
	kills := 8
	if whole {
		kills = 100
	}
	c := newChangedChain(t, 24)
	near := testserver.Proxy(t, c.endpoint)
	near.Latency(5 * time.Millisecond)
	near.Bandwidth(20 << 10)                   // so that bytes are on their way for a while
	program := "GOCACHEPROG=" + plainLarder(t) // who is killed reports no race

	var took []time.Duration
	for range 3 {
		m := c.machine(t, near.Endpoint, program)
		r := m.must("go", "build", "./...")
		wantBytes(t, r.stats, atBarrier, "")
		if r.stats.Misses < int64(c.packages/2) {
			t.Fatalf("this shows nothing: %s", r.stats)
		}
		took = append(took, r.took)
	}
	slices.Sort(took)

	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d, a build takes %v", seed, took)
	random := rand.New(rand.NewPCG(seed, 0))
	hits := 0
	for i := range kills {
		after := time.Duration((float64(i) + random.Float64()) / float64(kills) * float64(took[1]))
		victim := []string{"larder", "go"}[random.IntN(2)]
		closing := []string{"wait", "linger"}[random.IntN(2)]
		t.Run(fmt.Sprintf("%d: %s after %v, then %s", i, victim, after, closing), func(t *testing.T) {
			if c.killAndBuild(t, c.machine(t, near.Endpoint, program, "LARDER_CLOSE="+closing), victim, after) {
				hits++
			}
		})
	}
	if hits < kills/4 {
		t.Errorf("of %d kills %d hit", kills, hits)
	}
}

// killAndBuild starts a build on m and kills one of its processes after a
// while; then it builds. It reports whether the first build was hit.
func (c changedChain) killAndBuild(t *testing.T, m *machine, victim string, after time.Duration) (hit bool) {
	t.Helper()
	// What the go command has started outlives it by a moment, with its
	// temporary directory.
	m.env = append(m.env, "TMPDIR="+t.TempDir())
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := m.command(ctx, "go", "build", "./...")
	wait := m.start(cmd)
	time.Sleep(after)
	switch victim {
	case "larder":
		m.kill()
	case "go":
		cmd.Process.Kill()
	}
	r := wait()
	if ctx.Err() != nil {
		t.Fatal("the go command hung")
	}
	if strings.Contains(r.stderr, "panic") {
		t.Error(r.stderr)
	}
	m.wantGone()
	if exists(m.dir) {
		c.wantWhole(t, m)
		for _, name := range m.strangers() {
			if !inTheMaking(name) && !strings.HasPrefix(name, "larder/sessions/") && !strings.HasPrefix(name, "larder/journals/") {
				t.Errorf("a stranger in the local tier: %s", name)
			}
		}
	}

	c.build(m)
	m.must(larder, "flush")
	m.wantGone()
	c.wantWhole(t, m)
	m.wantNoSessions()
	for _, name := range m.strangers() {
		if !inTheMaking(name) {
			t.Errorf("a stranger stays in the local tier: %s", name)
		}
	}
	return r.status != 0
}

// inTheMaking reports whether name is that of a file that is being written. What a killed
// writer leaves goes with the oldest of the tier.
func inTheMaking(name string) bool {
	return path.Ext(name) == ".tmp" || strings.HasPrefix(path.Base(name), "new-")
}

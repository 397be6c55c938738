package integration

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/larderbuild/larder/integration/harness"
)

// TestGCKilledAtRandom kills larder gc at many moments. What the manifests name is there at
// every time, and the next collection does the rest.
func TestGCKilledAtRandom(t *testing.T) {
	t.Parallel()
	kills := 6
	if whole {
		kills = 50
	}
	c, s := usualChain(t), s3Store(t)
	s.fill(t, c)
	s.putLoosePacks(t, 300)
	old := s.machine(t, c, s.endpoint, "LARDER_PROFILE=old")
	c.build(old)
	if err := makeOlder(s.folder, 31*day); err != nil {
		t.Fatal(err)
	}
	renewed := 0
	walkFiles(t, filepath.Join(s.folder, "v1", "main", "m"), func(path string) {
		if strings.HasSuffix(path, "amd64") || strings.HasSuffix(path, "arm64") {
			renewed++
			if err := os.Chtimes(path, time.Time{}, time.Now()); err != nil {
				t.Fatal(err)
			}
		}
	})
	if renewed != 1 {
		t.Fatalf("%d manifests to renew", renewed)
	}
	filled := filepath.Join(t.TempDir(), "filled")
	if err := os.Rename(s.folder, filled); err != nil {
		t.Fatal(err)
	}
	refill := func() {
		if err := os.RemoveAll(s.folder); err != nil {
			t.Fatal(err)
		}
		if err := harness.Link(filled, s.folder); err != nil {
			t.Fatal(err)
		}
	}

	var took []time.Duration
	var left int64
	m := s.machine(t, c, s.endpoint)
	for range 3 {
		refill()
		begun := time.Now()
		r := m.gc()
		took = append(took, time.Since(begun))
		if left = r.ObjectsLeft; r.Packs < 300 || r.Manifests == 0 || r.Entries < c.packages || left == 0 {
			t.Fatalf("this shows nothing: %+v", r)
		}
	}
	slices.Sort(took)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d, a collection takes %v", seed, took)
	random := rand.New(rand.NewPCG(seed, 0))
	hits := 0
	for i := range kills {
		after := time.Duration((float64(i) + random.Float64()) / float64(kills) * float64(took[1]))
		t.Run(fmt.Sprintf("%d: after %v", i, after), func(t *testing.T) {
			refill()
			cmd := m.command(t.Context(), larder, "gc")
			wait := m.start(cmd)
			time.Sleep(after)
			cmd.Process.Kill()
			if wait().status != 0 {
				hits++
			}
			s.wantIntactNamed(t)
			if i%5 == 0 {
				s.wantFull(t, c)
			}
			if r := m.gc(); r.ObjectsLeft != left {
				t.Errorf("then: %+v, want %d objects left", r, left)
			}
			s.wantIntactNamed(t)
		})
	}
	if hits < kills/4 {
		t.Errorf("of %d kills %d hit", kills, hits)
	}
}

// wantIntactNamed checks that s has what its manifests name.
func (s store) wantIntactNamed(t *testing.T) {
	t.Helper()
	if missing := s.missingPacks(t); len(missing) > 0 {
		t.Errorf("missing: %q", missing)
	}
}

// TestDailyGC: a process in the background collects a directory, once a day.
func TestDailyGC(t *testing.T) {
	t.Parallel()
	c, s := usualChain(t), directoryStore(t)
	note := filepath.Join(s.folder, "v1", "%40gc")
	build := func() {
		m := s.machine(t, c, s.endpoint, "LARDER_CLOSE=linger")
		// Let there be something to do in the background.
		stamp := filepath.Join(m.dir, "larder", "trim.txt")
		if err := errors.Join(os.MkdirAll(filepath.Dir(stamp), 0o777), os.WriteFile(stamp, []byte("1\n"), 0o666)); err != nil {
			t.Fatal(err)
		}
		c.build(m)
		m.wantGone()
	}
	collected := func() bool {
		s.putLoosePacks(t, 1)
		if err := makeOlder(s.folder, 2*day); err != nil {
			t.Fatal(err)
		}
		before := s.loose(t)
		build()
		return s.loose(t) < before
	}
	build() // which notes the time
	if collected() {
		t.Error("a process in the background collected on the first day")
	}
	if err := os.WriteFile(note, fmt.Appendf(nil, "%d", time.Now().Add(-25*time.Hour).Unix()), 0o666); err != nil {
		t.Fatal(err)
	}
	if !collected() {
		t.Error("nobody collected a day later")
	}
	if collected() {
		t.Error("so did a second process on the same day")
	}
}

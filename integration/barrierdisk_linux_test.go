package integration

import (
	"testing"
	"time"
)

// TestBarrierOnAFullDisk has no room for the bytes that are needed, nor for what is built.
// They go to the private folder, and the build is right.
func TestBarrierOnAFullDisk(t *testing.T) {
	t.Parallel()
	c := newChangedChain(t, 16)
	for _, size := range []string{"size=64k", "size=256k", "size=1m", "size=4m", "size=8m", "size=64m,nr_inodes=60"} {
		t.Run(size, func(t *testing.T) {
			m := c.machine(t, c.endpoint, "TMPDIR="+t.TempDir())
			disk := t.TempDir()
			mountTmpfs(t, disk, size+",mode=0700")
			m.env, m.dir = append(m.env, "LARDER_DIR="+disk), disk
			c.buildInTime(m, 5*time.Minute)
			for _, err := range m.damage() {
				t.Errorf("local tier: %v", err)
			}
			if r := c.buildInTime(m, 5*time.Minute); r.stats.Misses > 2 { // the link's, and the index of the package that has just changed
				t.Errorf("then the build misses: %s", r.stats)
			}
		})
	}
}

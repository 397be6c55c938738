package integration

import (
	"context"
	"path/filepath"
	"testing"
	"time"
)

// TestBarrierOnAFullDisk has no room for the bytes that are needed. The build is
// right, or fails with a reason.
func TestBarrierOnAFullDisk(t *testing.T) {
	t.Parallel()
	c := newChangedChain(t, 16)
	for _, size := range []string{"size=64k", "size=256k", "size=1m", "size=4m", "size=8m", "size=64m,nr_inodes=60"} {
		t.Run(size, func(t *testing.T) {
			m := c.machine(t, c.endpoint)
			disk := t.TempDir()
			mountTmpfs(t, disk, size)
			m.env, m.dir = append(m.env, "LARDER_DIR="+disk), disk
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
			defer cancel()
			out := filepath.Join(t.TempDir(), "program")
			r := m.await(m.command(ctx, "go", "build", "-o", out, "."))
			switch {
			case ctx.Err() != nil:
				t.Fatal("the build hung")
			case r.status == 0:
				c.check(t, out)
			default:
				r.wantClearFailure(t, out)
			}
			for _, err := range m.damage() {
				t.Errorf("local tier: %v", err)
			}
		})
	}
}

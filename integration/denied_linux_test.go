package integration

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/larderbuild/larder/session"
)

// TestDenied: where the remote denies uploads, the process in the background tries one, and
// the next builds begin no such process. Once somebody has mended the rights, a flush
// brings everything.
func TestDenied(t *testing.T) {
	t.Parallel()
	c, s := newChained(t, 5), s3Store(t)
	var writable atomic.Bool
	var denied atomic.Int64
	door := newRefusing(t, s.endpoint, func(r *http.Request) int {
		if r.Method != http.MethodPut || writable.Load() {
			return 0
		}
		denied.Add(1)
		return http.StatusForbidden
	})
	m := s.machine(t, c, door, "LARDER_CLOSE=linger")
	if r := c.build(m); r.stderr != "" {
		t.Errorf("the first build:\n%s", r.stderr)
	}
	m.wantGone()
	if denied.Load() != 1 || len(m.journals()) != 1 {
		t.Fatalf("%d requests were denied, journals: %q", denied.Load(), m.journals())
	}
	for i := range 2 {
		c.change(t, i)
		r := c.build(m)
		if i == 0 && !strings.Contains(r.stderr, "larder: s3://bucket/pre/fix takes no uploads: access denied. ") {
			t.Errorf("the next build does not say that uploads are denied:\n%s", r.stderr)
		}
		if i > 0 && r.stderr != "" {
			t.Errorf("said again:\n%s", r.stderr)
		}
		m.wantGone()
	}
	// A process in the background would have tried, and would have merged the journals.
	if denied.Load() != 1 || len(m.journals()) != 3 {
		t.Errorf("%d requests were denied, journals: %q", denied.Load(), m.journals())
	}
	if r := m.larder("flush"); r.status != 1 || !strings.Contains(r.stderr, " uploads are refused: access denied") || len(m.journals()) != 1 {
		t.Errorf("flush: exit status %d, journals: %q\n%s", r.status, m.journals(), r.stderr)
	}
	writable.Store(true)
	m.must(larder, "flush")
	m.wantNoSessions()
	s.wantFull(t, c)
	if session.NewScopeMemory(m.dir, session.Target{Remote: s.url(door), Scope: "main"}).Known(session.Denied) {
		t.Error("it is still remembered")
	}
}

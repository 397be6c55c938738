package integration

import (
	"errors"
	"io/fs"
	"slices"
	"strings"
	"testing"
)

// TestCommands shows that every command comes to the same with larder, an empty
// disk and a warm remote as without: what it says and every file that it
// writes. However larder brings the bytes of archives, nobody meets a hole in
// their place, and none stays.
func TestCommands(t *testing.T) {
	t.Parallel()
	t.Run("standard", func(t *testing.T) { commands().tried().test(t, "") })
	t.Run("other", func(t *testing.T) { recompilations().tried().test(t, "") })
}

// shortened returns a part of the table.
func (tb table) shortened() table {
	tb.rows = slices.DeleteFunc(tb.rows, func(r row) bool { return !r.short })
	tb.fill = tb.fill[:4]
	return tb
}

// TestCommandsOfVersions is a part of the table for the oldest go command that
// has helpers and, where whole is set, for the newest.
func TestCommandsOfVersions(t *testing.T) {
	t.Parallel()
	some := commands().shortened()
	for _, version := range otherVersions() {
		t.Run(version, func(t *testing.T) { some.test(t, version) })
	}
}

func (tb table) test(t *testing.T, version string) {
	b := newBakery(t, version, tb.fill)
	for _, r := range tb.rows {
		t.Run(r.name(), func(t *testing.T) { b.test(t, r) })
	}
}

// test runs r's command without larder and with it, and compares what they
// leave. It returns what the one without says.
func (b *bakery) test(t *testing.T, r row) (stdout string) {
	t.Helper()
	var want trace
	b.natively(t, func() { want, _ = b.run(t, b.alone, r) })
	m, remote := b.machine(t)
	got, out := b.run(t, m, r)
	if t.Failed() {
		return ""
	}
	wantSameTrace(t, got, want)
	wantBytes(t, out.stats, r.bytes, b.version)
	m.must(b.larder, "flush") // waits for what goes on in the background
	b.wantIntact(t, remote)
	if !exists(m.dir) {
		return want.stdout // there was no session
	}
	if names := m.strangers(); len(names) > 0 {
		t.Errorf("strangers in the local tier: %q", names)
	}
	m.wantNoSessions()
	for _, err := range m.damage() {
		if !r.moves || !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("local tier: %v", err)
		}
	}
	if strings.Contains(r.line, "go list") && strings.Contains(r.line, "-export") {
		b.wantBodies(t, out.stdout)
	}
	return want.stdout
}

package cache_test

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/backend/backendtest"
	"github.com/larderbuild/larder/cache"
	"github.com/larderbuild/larder/session"
)

// wantRequests checks whether the session has asked its remote for anything.
func (m *machine) wantRequests(t *testing.T, want bool) {
	t.Helper()
	if n := m.stats.Summary().RemoteRequests; (n > 0) != want {
		t.Errorf("%d requests; any wanted: %v", n, want)
	}
}

// TestRemoteThatIsDown: sessions go without a remote that did not answer. Then one tries,
// and once it has had an answer all ask again. What was put meanwhile is not lost.
func TestRemoteThatIsDown(t *testing.T) {
	dir := t.TempDir()
	memory := session.NewMemory(dir, target.Remote)
	var broken atomic.Bool
	well := backendtest.Memory()
	store := backendtest.Faulty(well, func(string, string) (f backendtest.Fault) {
		if broken.Load() {
			f.Err = errors.New("connection refused")
		}
		return f
	})

	broken.Store(true)
	first := newMachine(t, dir, store)
	first.wantMiss(t, "a")
	first.put(t, "a", "body a")
	first.Close(time.Minute)
	first.wantRequests(t, true)
	until := memory.Until(session.Down)
	want := fmt.Sprintf("no answer from test:: connection refused. Builds go on without it until %s;", until.Format(time.TimeOnly))
	if said := first.warnings(); len(said) != 1 || !strings.Contains(said[0], want) {
		t.Errorf("warnings %q, want one with %q", said, want)
	}

	broken.Store(false)
	second := newMachine(t, dir, store)
	second.wantMiss(t, "b")
	second.put(t, "b", "body b")
	if left := second.Close(time.Minute); !left {
		t.Error("what was put is not left to do")
	}
	second.wantRequests(t, false)
	if said := second.warnings(); len(said) > 0 {
		t.Errorf("said within the hour: %q", said)
	}

	if err := memory.Note(session.Down, 0); err != nil { // the time is over
		t.Fatal(err)
	}
	third := newMachine(t, dir, store)
	fourth := newMachine(t, dir, store)
	fourth.wantMiss(t, "c")
	fourth.Close(time.Minute)
	fourth.wantRequests(t, false)
	third.wantMiss(t, "c")
	third.wantRequests(t, true)
	fifth := newMachine(t, dir, store) // while the third one goes on
	fifth.wantMiss(t, "c")
	fifth.Close(time.Minute)
	fifth.wantRequests(t, true)
	third.Close(time.Minute)

	if _, err := flush(t.Context(), dir, store); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a", "b"} {
		read(t, well, key(name))
	}
}

// TestRemoteThatIsNotDown: what answers, whatever it says, is not down, and neither is
// what a session did not wait for.
func TestRemoteThatIsNotDown(t *testing.T) {
	for name, fault := range map[string]backendtest.Fault{
		"not found":  {},
		"denied":     {Err: backend.ErrDenied},
		"not waited": {Hang: true},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			m := newMachine(t, dir, backendtest.Faulty(backendtest.Memory(), func(string, string) backendtest.Fault { return fault }))
			m.put(t, "a", "body a")
			if !fault.Hang {
				m.wantMiss(t, "b")
			}
			m.Close(0)
			if session.NewMemory(dir, target.Remote).Known(session.Down) {
				t.Error("it is taken for down")
			}
		})
	}
}

// TestFlushTriesAtOnce: a flush asks a remote that is down, and tells the sessions that it
// is back.
func TestFlushTriesAtOnce(t *testing.T) {
	dir, store := t.TempDir(), backendtest.Memory()
	memory := session.NewMemory(dir, target.Remote)
	if err := memory.Note(session.Down, time.Hour); err != nil {
		t.Fatal(err)
	}
	m := newMachine(t, dir, store)
	m.put(t, "a", "body a")
	m.Close(time.Minute)
	if _, err := flush(t.Context(), dir, store); err != nil {
		t.Fatal(err)
	}
	read(t, store, key("a"))
	if memory.Known(session.Down) {
		t.Error("the remote is still taken for down")
	}
}

// TestRemoteThatHangs: a session that waits for a remote in vain loses the budget, and
// not the time of Close on top. It does not matter where it waits.
func TestRemoteThatHangs(t *testing.T) {
	const budget = 10 * time.Second
	for name, gets := range map[string]int{"during the build": 2, "at its end": 0} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				dir, begun := t.TempDir(), time.Now()
				store := backendtest.Faulty(backendtest.Memory(), func(string, string) backendtest.Fault { return backendtest.Fault{Hang: true} })
				m := newMachine(t, dir, store, func(cfg *cache.SessionConfig) { cfg.Budget = budget })
				for i := range gets {
					m.wantMiss(t, fmt.Sprint("missing ", i))
				}
				m.put(t, "a", "body a")
				if left := m.Close(time.Hour); !left {
					t.Error("nothing is left to do")
				}
				if took := time.Since(begun); took != budget {
					t.Errorf("it took %v, want %v", took, budget)
				}
				if !session.NewMemory(dir, target.Remote).Known(session.Down) {
					t.Error("nobody remembers")
				}
			})
		})
	}
}

// TestOneWarningAnHour: the sessions of one local tier say one line an hour about a remote.
func TestOneWarningAnHour(t *testing.T) {
	dir := t.TempDir()
	store := backendtest.Faulty(backendtest.Memory(), func(op, _ string) (f backendtest.Fault) {
		if op == "put" {
			f.Err = backend.ErrDenied
		}
		return f
	})
	session := func(silent bool, want int) {
		t.Helper()
		m := newMachine(t, dir, store, func(cfg *cache.SessionConfig) { cfg.Silent = silent })
		m.wantMiss(t, "missing")
		m.put(t, "a", "body a")
		m.put(t, "b", "body b")
		m.Close(time.Minute)
		if said := m.warnings(); len(said) != want {
			t.Errorf("warnings %q, want %d", said, want)
		}
	}
	session(true, 1) // where nobody sees it
	session(false, 1)
	session(false, 0)
}

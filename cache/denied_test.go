package cache_test

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/backend/backendtest"
	"github.com/larderbuild/larder/session"
)

// readable is a store that denies all puts, unless it is writable, or those of keys with a
// part. It counts what it denies.
type readable struct {
	part     string // "": of any key
	writable atomic.Bool
	denied   atomic.Int64
}

func (r *readable) over(store backend.Store) backend.Store {
	return backendtest.Faulty(store, func(op, key string) (f backendtest.Fault) {
		if op == "put" && !r.writable.Load() && strings.Contains(key, r.part) {
			r.denied.Add(1)
			f.Err = backend.ErrDenied
		}
		return f
	})
}

// wantTries checks how many puts were denied since the last call.
func (r *readable) wantTries(t *testing.T, want int64) {
	t.Helper()
	if got := r.denied.Swap(0); got != want {
		t.Errorf("%d puts were denied, want %d", got, want)
	}
}

// pauseOf returns how long sessions in local still write nothing.
func pauseOf(local string) time.Duration {
	return time.Until(session.NewScopeMemory(local, target).Until(session.Denied))
}

// TestDenied: a session whose first upload is denied tries no other. The next ones try
// none, for a time that grows, and say so once. A flush tries one at once. What was put
// meanwhile is not lost.
func TestDenied(t *testing.T) {
	local, store := t.TempDir(), backendtest.Memory()
	var rights readable
	denying := rights.over(store)
	run := func(names ...string) *machine {
		t.Helper()
		m := newMachine(t, local, denying, under(profile))
		build(t, m, names...)
		if m.Close(time.Minute) {
			t.Error("something is left that makes sense to try soon")
		}
		return m
	}
	run("a", "b")
	rights.wantTries(t, 1)
	first := pauseOf(local)

	if err := session.NewMemory(local, target.Remote).Note(session.Told, 0); err != nil { // an hour later
		t.Fatal(err)
	}
	m := run("c", "d")
	rights.wantTries(t, 0)
	if said := m.warnings(); len(said) != 1 || !strings.Contains(said[0], "test: takes no uploads: access denied. Check its credentials") {
		t.Errorf("warnings %q", said)
	}
	if said := run("e").warnings(); len(said) > 0 {
		t.Errorf("said within the hour: %q", said)
	}

	if _, err := flush(t.Context(), local, denying); err == nil || !strings.Contains(err.Error(), "10 of 10 uploads are refused: access denied") {
		t.Errorf("error %v", err)
	}
	rights.wantTries(t, 1)
	if again := pauseOf(local); again < 3*first/2 {
		t.Errorf("the second pause is %v, after one of %v", again, first)
	}

	rights.writable.Store(true)
	if _, err := flush(t.Context(), local, denying); err != nil {
		t.Error(err)
	}
	if n := len(manifest(t, store, profile).Entries); n != 10 {
		t.Errorf("%d entries in the manifest", n)
	}
	run("f")
	if n, err := session.Uploads(local); n != 0 || err != nil {
		t.Errorf("%d uploads are left, %v", n, err)
	}
}

// TestDeniedForAWhile: once the time is over, a session tries, and if it gets through all
// others do.
func TestDeniedForAWhile(t *testing.T) {
	local := t.TempDir()
	memory := session.NewScopeMemory(local, target)
	if err := memory.Note(session.Denied, time.Hour); err != nil {
		t.Fatal(err)
	}
	run := func(uploads int64) {
		t.Helper()
		m := newMachine(t, local, backendtest.Memory())
		m.put(t, "a", "body a")
		m.Close(time.Minute)
		if n := m.stats.Summary().Uploads; n != uploads {
			t.Errorf("%d uploads, want %d", n, uploads)
		}
	}
	run(0)
	if err := memory.Note(session.Denied, 0); err != nil {
		t.Fatal(err)
	}
	run(1)
	if !memory.Until(session.Denied).IsZero() {
		t.Error("it is still remembered")
	}
}

// TestDeniedManifest: where entry objects may be put and manifests may not, that is
// remembered, too.
func TestDeniedManifest(t *testing.T) {
	local := t.TempDir()
	rights := readable{part: "/m/"}
	for i, tries := range []int64{1, 0} {
		m := newMachine(t, local, rights.over(backendtest.Memory()), under(profile))
		build(t, m, packages[i])
		if m.Close(time.Minute) {
			t.Error("something is left that makes sense to try soon")
		}
		rights.wantTries(t, tries)
	}
}

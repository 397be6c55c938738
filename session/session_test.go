package session

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"
)

func TestLiveSince(t *testing.T) {
	local := t.TempDir()
	now := time.Now()
	check := func(want time.Time) {
		t.Helper()
		if got, err := LiveSince(local); err != nil || !got.Equal(want) {
			t.Fatalf("live since %v, %v; want %v", got, err, want)
		}
	}
	check(time.Time{})

	older, err := New(local, now.Add(-time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	newer, err := New(local, now.Add(-time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	check(now.Add(-time.Hour))
	older.Close()
	check(now.Add(-time.Minute))
	newer.Close()
	check(time.Time{})
}

// sessions returns what is in the folder of sessions below local.
func sessions(t *testing.T, local string) []os.DirEntry {
	t.Helper()
	entries, err := os.ReadDir(sessionsDir(local))
	if err != nil {
		t.Fatal(err)
	}
	return entries
}

// What a session whose process died was to do is among what is left, and the rest of it
// goes.
func TestDeadSession(t *testing.T) {
	local := t.TempDir()
	s, err := New(local, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	j := create(t, s, somewhere, false)
	if err := errors.Join(j.Add(one), j.Close(true)); err != nil {
		t.Fatal(err)
	}
	if live, err := List(local); len(live) != 1 || live[0].PID != os.Getpid() || live[0].Over || err != nil {
		t.Fatalf("live: %+v, %v", live, err)
	}
	s.Over()
	if live, err := List(local); len(live) != 1 || !live[0].Over || err != nil {
		t.Fatalf("live: %+v, %v", live, err)
	}
	if works, err := Left(local); len(works) > 0 || err != nil {
		t.Fatalf("a live session has left %+v, %v", works, err)
	}
	s.lock.Close() // as its death would
	works, err := Left(local)
	if len(works) != 1 || !works[0].Target.equal(somewhere) || err != nil {
		t.Fatalf("left: %+v, %v", works, err)
	}
	if entries := sessions(t, local); len(entries) > 0 {
		t.Errorf("there are still %v", entries)
	}
}

// A process that was killed while it removed a session leaves that to the next one.
func TestSessionHalfRemoved(t *testing.T) {
	local := t.TempDir()
	s, err := New(local, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if err := create(t, s, somewhere, false).Close(true); err != nil {
		t.Fatal(err)
	}
	s.lock.Close() // Windows renames no folder with an open file
	gone := filepath.Join(sessionsDir(local), gonePrefix+filepath.Base(s.dir))
	if err := os.Rename(s.dir, gone); err != nil {
		t.Fatal(err)
	}
	if works, err := Left(local); len(works) != 1 || err != nil {
		t.Errorf("left: %+v, %v", works, err)
	}
	if entries := sessions(t, local); len(entries) > 0 {
		t.Errorf("there are still %v", entries)
	}
}

// A session of another machine, or of a kernel that ran before, counts as live while it
// gives signs of life, even if its lock looks free from here. Nobody waits for it.
func TestSessionOfAnotherMachine(t *testing.T) {
	local := t.TempDir()
	dir := filepath.Join(sessionsDir(local), owner{time.Now(), 1, place{"0badcafe", "00000000"}}.String())
	for _, err := range []error{
		os.MkdirAll(dir, 0o700),
		os.WriteFile(lockPath(dir), nil, 0o600),
		os.WriteFile(filepath.Join(dir, overName), nil, 0o600),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if live, err := List(local); len(live) != 1 || live[0].Over || err != nil {
		t.Fatalf("live: %+v, %v", live, err)
	}
	long := time.Now().Add(-silence - time.Minute)
	if err := os.Chtimes(lockPath(dir), long, long); err != nil {
		t.Fatal(err)
	}
	if live, err := List(local); len(live) != 0 || err != nil {
		t.Fatalf("after %v without a sign of life: %+v, %v", silence, live, err)
	}
}

// What a session of an earlier version, whose name says no place, was to do is done. While
// the session is alive it is left alone.
func TestSessionOfEarlierVersion(t *testing.T) {
	local := t.TempDir()
	dir := filepath.Join(sessionsDir(local), "1795688252487660474-28176")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	held, _, err := tryLock(lockPath(dir), os.O_CREATE|os.O_RDWR)
	if err != nil {
		t.Fatal(err)
	}
	s := &Session{dir: dir}
	j := create(t, s, somewhere, false)
	if err := errors.Join(j.Add(one), j.Close(true)); err != nil {
		t.Fatal(err)
	}
	if live, err := List(local); len(live) != 1 || live[0].PID != 28176 || err != nil {
		t.Fatalf("live: %+v, %v", live, err)
	}
	held.Close()
	if _, todo := take(t, local); !slices.Equal(todo.Uploads, []Upload{one}) {
		t.Errorf("left: %+v", todo)
	}
	if entries := sessions(t, local); len(entries) > 0 {
		t.Errorf("there are still %v", entries)
	}
}

// A journal that can't be moved stays where it is.
func TestNoRoomForJournals(t *testing.T) {
	s := newSession(t)
	local := localOf(s.dir)
	if err := os.Symlink("nowhere", leftDir(local)); err != nil { // where no folder can be made
		t.Skip(err)
	}
	j := create(t, s, somewhere, false)
	if err := errors.Join(j.Add(one), j.Close(true)); err != nil {
		t.Fatal(err)
	}
	s.Close()
	Sweep(local)
	if err := os.Remove(leftDir(local)); err != nil {
		t.Fatal(err)
	}
	if _, todo := take(t, local); !slices.Equal(todo.Uploads, []Upload{one}) {
		t.Errorf("left: %+v", todo)
	}
}

// What does not belong to the sessions goes by its age, and so does a session whose owner
// died before it had a lock.
func TestStrangersAmongSessions(t *testing.T) {
	local := t.TempDir()
	for _, name := range []string{"strange", "1-2", owner{time.Now(), 1, here()}.String()} {
		dir := filepath.Join(sessionsDir(local), name)
		if err := os.MkdirAll(filepath.Join(dir, "lazy"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	Sweep(local)
	if entries := sessions(t, local); len(entries) != 3 {
		t.Fatalf("%v: young ones are gone", entries)
	}
	long := time.Now().Add(-silence - time.Minute)
	for _, e := range sessions(t, local) {
		if err := os.Chtimes(filepath.Join(sessionsDir(local), e.Name()), long, long); err != nil {
			t.Fatal(err)
		}
	}
	Sweep(local)
	if entries := sessions(t, local); len(entries) > 0 {
		t.Errorf("there are still %v", entries)
	}
}

// No session loses its directory, or its lock, while others sweep.
func TestSessionsBeginAndEndAtOnce(t *testing.T) {
	local := t.TempDir()
	const rounds = 1000
	stop := make(chan struct{})
	var sweepers, makers sync.WaitGroup
	for range 3 {
		sweepers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					Sweep(local)
				}
			}
		})
	}
	for range 3 {
		makers.Go(func() {
			for range rounds / 3 {
				s, err := New(local, time.Now())
				if err != nil {
					t.Error(err)
					continue
				}
				for range 3 {
					if _, err := os.Stat(lockPath(s.dir)); err != nil {
						t.Errorf("gone while its owner holds it: %v", err)
						break
					}
				}
				s.Close()
			}
		})
	}
	makers.Wait()
	close(stop)
	sweepers.Wait()
	Sweep(local)
	if entries := sessions(t, local); len(entries) > 0 {
		t.Errorf("there are still %v", entries)
	}
}

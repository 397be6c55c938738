package session

import (
	"os"
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

// A session whose process died is taken over by one other, and swept away if
// it left nothing to do.
func TestDeadSession(t *testing.T) {
	local := t.TempDir()
	dead, err := New(local, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if s, err := Take(dead.dir); s != nil || err != nil {
		t.Fatalf("took a live session: %v, %v", s, err)
	}
	dead.lock.Close() // as its death would
	heir, err := Take(dead.dir)
	if heir == nil || err != nil {
		t.Fatalf("%v, %v", heir, err)
	}
	if s, err := Take(dead.dir); s != nil || err != nil {
		t.Fatalf("took a session twice: %v, %v", s, err)
	}
	heir.Close()
	if _, err := os.Stat(dead.dir); !os.IsNotExist(err) {
		t.Errorf("swept away: %v", err)
	}
	if s, err := Take(dead.dir); s != nil || err != nil {
		t.Errorf("took a session that is gone: %v, %v", s, err)
	}
}

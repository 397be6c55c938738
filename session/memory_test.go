package session

import (
	"fmt"
	"os"
	"sync"
	"testing"
	"time"
)

const remoteURL = "s3://bucket/prefix"

func TestMemory(t *testing.T) {
	local := t.TempDir()
	m := NewMemory(local, remoteURL)
	if m.Known(Down) || !m.Until(Down).IsZero() {
		t.Error("something is known before it was noted")
	}
	if err := m.Note(Down, time.Hour); err != nil {
		t.Fatal(err)
	}
	if !m.Known(Down) || m.Known(Told) || NewMemory(local, remoteURL+"2").Known(Down) {
		t.Error("want one fact about one remote")
	}
	if err := m.Note(Down, 0); err != nil {
		t.Fatal(err)
	}
	if m.Known(Down) || m.Until(Down).IsZero() {
		t.Error("what held once is remembered, and holds no longer")
	}
	m.Forget(Down)
	if !m.Until(Down).IsZero() {
		t.Error("it was not forgotten")
	}
}

// TestMemoryDamaged: what is no fact, or is from the future, counts for nothing.
func TestMemoryDamaged(t *testing.T) {
	m := NewMemory(t.TempDir(), remoteURL)
	if err := m.Note(Told, 0); err != nil { // makes the folder
		t.Fatal(err)
	}
	now := time.Now()
	for _, content := range []string{
		"", "soon", "1", fmt.Sprintf("%d", now.UnixNano()),
		fmt.Sprintf("%d %d\n", now.Add(time.Hour).UnixNano(), now.Add(2*time.Hour).UnixNano()),
		fmt.Sprintf("%d %d\n", now.UnixNano(), now.Add(-time.Hour).UnixNano()),
	} {
		if err := os.WriteFile(m.file(Down), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if m.Known(Down) || !m.Until(Down).IsZero() {
			t.Errorf("%q is known", content)
		}
	}
}

func TestNoteAgain(t *testing.T) {
	m := NewMemory(t.TempDir(), remoteURL)
	for _, want := range []time.Duration{time.Minute, 2 * time.Minute, 4 * time.Minute, 5 * time.Minute, 5 * time.Minute} {
		until, err := m.NoteAgain(Down, time.Now(), time.Minute, 5*time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		if d := until.Sub(m.read(Down).noted); d.Round(time.Second) != want {
			t.Errorf("for %v, want %v", d, want)
		}
		// A session that had begun before has found out the same.
		again, err := m.NoteAgain(Down, time.Now().Add(-time.Hour), time.Minute, 5*time.Minute)
		if err != nil || !again.Equal(until) || !m.Until(Down).Equal(until) {
			t.Errorf("noted twice: until %v, %v; want %v", again, err, until)
		}
	}
}

// TestOnce: of several that ask at once one is told so.
func TestOnce(t *testing.T) {
	local := t.TempDir()
	for round := range 20 {
		m := NewMemory(local, fmt.Sprint(remoteURL, round))
		var group sync.WaitGroup
		told := make(chan bool, 8)
		for range cap(told) {
			group.Go(func() { told <- m.Once(Told, time.Hour) })
		}
		group.Wait()
		n := 0
		for range cap(told) {
			if <-told {
				n++
			}
		}
		if n != 1 || m.Once(Told, time.Hour) {
			t.Fatalf("%d were told that they are the first", n)
		}
	}
}

func TestClaim(t *testing.T) {
	m := NewMemory(t.TempDir(), remoteURL)
	if err := m.Note(Down, 0); err != nil {
		t.Fatal(err)
	}
	release, ok := m.Claim(Down)
	if !ok {
		t.Fatal("nobody has a claim")
	}
	if _, ok := m.Claim(Down); ok {
		t.Error("two have a claim")
	}
	release()
	if release, ok = m.Claim(Down); !ok {
		t.Fatal("a claim that was given up stays")
	}
	release()
}

func TestTrimMemory(t *testing.T) {
	local := t.TempDir()
	old, recent := NewMemory(local, "old"), NewMemory(local, "recent")
	for _, m := range []Memory{old, recent} {
		if err := m.Note(Down, time.Hour); err != nil {
			t.Fatal(err)
		}
	}
	long := time.Now().Add(-forgetAfter - time.Hour)
	if err := os.Chtimes(old.file(Down), long, long); err != nil {
		t.Fatal(err)
	}
	trimMemory(local)
	if old.Known(Down) || !recent.Known(Down) {
		t.Error("want what is old forgotten, and nothing else")
	}
}

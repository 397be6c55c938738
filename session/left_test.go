package session

import (
	"crypto/sha256"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/larderbuild/larder/protocol"
)

// leaveAt leaves a journal of a session that began age ago.
func leaveAt(t *testing.T, local string, age time.Duration, target Target, write func(*Journal) error) {
	t.Helper()
	s, err := New(local, time.Now().Add(-age))
	if err != nil {
		t.Fatal(err)
	}
	j := create(t, s, target, false)
	if err := errors.Join(write(j), j.Close(true)); err != nil {
		t.Fatal(err)
	}
	s.Close()
}

func use(action, output byte, kind Kind) Use {
	return Use{Action: protocol.ActionID{action}, Output: protocol.OutputID{output}, Kind: kind}
}

// The journals of one target become one. What the later session says counts.
func TestMergedJournals(t *testing.T) {
	local := t.TempDir()
	command := sha256.Sum256([]byte("build"))
	leaveAt(t, local, 3*time.Minute, somewhere, func(j *Journal) error {
		return errors.Join(j.Add(one), j.Add(two), j.AddRecord(Record{
			Uses: []Use{use(1, 1, Made), use(2, 2, Misplaced), use(3, 3, Found), use(4, 4, Found)},
		}))
	})
	leaveAt(t, local, 2*time.Minute, Target{Remote: somewhere.Remote, Scope: "pr-1"}, func(j *Journal) error { return j.Add(three) })
	leaveAt(t, local, time.Minute, somewhere, func(j *Journal) error {
		return errors.Join(j.Add(one), j.Done(one.Action), j.AddRecord(Record{
			Uses:  []Use{use(1, 9, Fetched), use(2, 2, Found), use(3, 0, Refused), use(5, 5, Made)},
			Eager: [][sha256.Size]byte{command},
		}))
	})
	works, err := Left(local)
	if err != nil || len(works) != 2 || len(works[0].Journals) != 2 || len(works[1].Journals) != 1 {
		t.Fatalf("left: %+v, %v", works, err)
	}
	j, todo, err := works[0].Take()
	if err != nil {
		t.Fatal(err)
	}
	want := Pending{
		Target:  works[0].Target,
		Uploads: []Upload{two},
		Record: Record{
			Uses:  []Use{use(1, 9, Fetched), use(2, 2, Misplaced), use(3, 3, Misplaced), use(4, 4, Found), use(5, 5, Made)},
			Eager: [][sha256.Size]byte{command},
		},
	}
	if !reflect.DeepEqual(todo, want) {
		t.Errorf("merged %+v, want %+v", todo, want)
	}

	// What was published is no longer to do, and the rest is.
	rest := Record{Uses: []Use{use(5, 5, Made)}}
	if err := errors.Join(j.Published(rest), j.AddBring(), j.Brought(), j.Close(true)); err != nil {
		t.Fatal(err)
	}
	works, err = Left(local)
	if err != nil || len(works) != 2 || len(works[0].Journals) != 1 {
		t.Fatalf("left: %+v, %v", works, err)
	}
	want.Record = rest
	j, todo, err = works[0].Take()
	if err != nil || !reflect.DeepEqual(todo, want) {
		t.Errorf("%+v, %v; want %+v", todo, err, want)
	}
	if err := j.Close(true); err != nil {
		t.Error(err)
	}
	if n, err := Uploads(local); n != 2 || err != nil {
		t.Errorf("%d uploads, %v", n, err)
	}
}

// Where there are no locks, two processes may take the same journals. Neither removes what
// the other one has taken since.
func TestTakenTwice(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("where a file that is open can't be replaced")
	}
	local := t.TempDir()
	works := make([]Work, 2)
	journals := make([]*Journal, 2)
	for i, u := range []Upload{one, two} {
		leaveAt(t, local, time.Minute, somewhere, func(j *Journal) error { return j.Add(u) })
		found, err := Left(local)
		if err != nil || len(found) != 1 {
			t.Fatalf("left: %+v, %v", found, err)
		}
		works[i] = found[0]
		if journals[i], _, err = works[i].Take(); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(journals[0].Done(one.Action), journals[0].Close(false), journals[1].Close(true)); err != nil {
		t.Fatal(err)
	}
	if _, todo := take(t, local); !slices.Contains(todo.Uploads, two) {
		t.Errorf("left: %+v, want the second upload", todo)
	}
}

// A journal that can't be read is not taken for an empty one.
func TestUnreadableJournal(t *testing.T) {
	local := leave(t, []byte("a journal"))
	path := filepath.Join(leftDir(local), names(t, leftDir(local))[0])
	if err := errors.Join(os.Remove(path), os.Mkdir(path, 0o700)); err != nil {
		t.Fatal(err)
	}
	if works, err := Left(local); err == nil {
		t.Errorf("%+v, without an error", works)
	}
	if _, err := os.Stat(path); err != nil {
		t.Error(err)
	}
}

func TestLockScope(t *testing.T) {
	local := t.TempDir()
	lock := func(target Target, want bool) func() {
		t.Helper()
		unlock, ok := LockScope(local, target)
		if ok != want {
			t.Fatalf("locked %+v: %v", target, ok)
		}
		return unlock
	}
	unlock := lock(somewhere, true)
	lock(Target{Remote: somewhere.Remote, Scope: somewhere.Scope, Profile: Profile{"m", "p"}}, false)
	lock(Target{Remote: somewhere.Remote, Scope: "pr-1"}, true)()
	unlock()
	lock(somewhere, true)()
}

// What sessions left has an end, and so has what killed processes left unfinished.
func TestTrim(t *testing.T) {
	local := t.TempDir()
	add := func(j *Journal) error { return j.Add(one) }
	for _, age := range []time.Duration{7 * time.Hour, 5 * time.Hour, -100 * time.Hour} {
		leaveAt(t, local, age, somewhere, add)
	}
	unlock, _ := LockScope(local, somewhere)
	unlock()
	unfinished := filepath.Join(leftDir(local), tempPrefix+"1")
	if err := os.WriteFile(unfinished, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Trim(local, 0); err != nil {
		t.Fatal(err)
	}
	if n := len(names(t, leftDir(local))); n != 5 {
		t.Fatalf("%d files, though nothing is to go by its age", n)
	}
	long := time.Now().Add(-silence - time.Minute)
	if err := os.Chtimes(unfinished, long, long); err != nil {
		t.Fatal(err)
	}
	if err := Trim(local, 6*time.Hour); err != nil {
		t.Fatal(err)
	}
	if got := names(t, leftDir(local)); len(got) != 2 || slices.Contains(got, filepath.Base(unfinished)) {
		t.Errorf("files %v, want the journal of 5 hours ago and a lock file", got)
	}
}

func names(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// TestUploadsWithoutObjects: of a session that uploads no entries, those count that it has made
// and not published, each once. Its record at the end takes the place of what it has noted
// before.
func TestUploadsWithoutObjects(t *testing.T) {
	local := t.TempDir()
	put := func(j *Journal, number byte, kind Kind) error {
		return j.AddRecord(Record{Uses: []Use{use(number, number, kind)}})
	}
	leaveAt(t, local, time.Minute, somewhere, func(j *Journal) error {
		return errors.Join(put(j, 1, Made), put(j, 1, Made), put(j, 2, Misplaced))
	})
	if n, err := Uploads(local); n != 2 || err != nil {
		t.Errorf("of a killed session %d, %v", n, err)
	}
	works, err := Left(local)
	if err != nil || len(works) != 1 {
		t.Fatalf("left: %+v, %v", works, err)
	}
	want := Record{Uses: []Use{use(1, 1, Made), use(2, 2, Misplaced)}}
	if todo, err := works[0].Pending(); err != nil || !reflect.DeepEqual(todo.Record, want) {
		t.Errorf("of a killed session %+v, %v", todo.Record, err)
	}
	ended := t.TempDir()
	rest := Record{Uses: []Use{use(3, 3, Found), use(1, 1, Made)}}
	leaveAt(t, ended, time.Minute, somewhere, func(j *Journal) error { return errors.Join(put(j, 1, Made), put(j, 2, Made), j.Published(rest)) })
	works, err = Left(ended)
	if err != nil || len(works) != 1 {
		t.Fatalf("left: %+v, %v", works, err)
	}
	if todo, err := works[0].Pending(); err != nil || !reflect.DeepEqual(todo.Record, rest) {
		t.Errorf("of one that has ended %+v, %v", todo.Record, err)
	}
}

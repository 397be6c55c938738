package session

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/larderbuild/larder/protocol"
)

var (
	one   = Upload{Action: protocol.ActionID{1}, Output: protocol.OutputID{8}, Cost: 5}
	two   = Upload{Action: protocol.ActionID{2}}
	three = Upload{Action: protocol.ActionID{3}, Output: protocol.OutputID{9}, Cost: time.Hour}

	somewhere = Target{Remote: "file:///remote", Scope: "main"}
)

// newSession makes a session in a local tier of its own.
func newSession(t testing.TB) *Session {
	t.Helper()
	s, err := New(t.TempDir(), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.lock.Close) // Windows removes no file that is open
	return s
}

// leave puts a journal with the given content among those that sessions left, and returns
// the local tier.
func leave(t testing.TB, content []byte) (local string) {
	t.Helper()
	s := newSession(t)
	if err := os.WriteFile(journalPath(s.dir), content, 0o600); err != nil {
		t.Fatal(err)
	}
	s.Close()
	return localOf(s.dir)
}

// take takes over what one target's sessions left below local, if they left anything.
func take(t testing.TB, local string) (*Journal, Pending) {
	t.Helper()
	works, err := Left(local)
	if err != nil || len(works) > 1 {
		t.Fatalf("left: %+v, %v", works, err)
	}
	if len(works) == 0 {
		return nil, Pending{}
	}
	j, todo, err := works[0].Take()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { j.Close(true) })
	return j, todo
}

func create(t testing.TB, s *Session, target Target, signed bool) *Journal {
	t.Helper()
	j, err := s.CreateJournal(target, signed)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func TestJournal(t *testing.T) {
	for name, want := range map[string]Target{
		"of a profile":      {Remote: "s3://bucket/prefix?region=eu-west-1", Scope: "pr-7", Read: []string{"pr-7", "main"}, Profile: Profile{"example.com/m", "linux test"}},
		"of no profile":     {Remote: "file:///remote", Scope: "main"},
		"with a line break": {Remote: "file:///re\nmote", Scope: "main", Profile: Profile{"example.com/m", "linux\n+ test\n"}},
	} {
		t.Run(name, func(t *testing.T) {
			if want.Read == nil {
				want.Read = []string{}
			}
			testJournal(t, want)
		})
	}
}

func testJournal(t *testing.T, want Target) {
	s := newSession(t)
	j := create(t, s, want, true)
	news := Record{
		Uses: []Use{
			{Action: two.Action, Output: protocol.OutputID{4}, Kind: Found},
			{Action: protocol.ActionID{5}, Output: protocol.OutputID{5}, Kind: Made},
			{Action: protocol.ActionID{6}, Output: protocol.OutputID{6}, Cost: time.Hour, Kind: Fetched},
			{Action: one.Action, Output: protocol.OutputID{7}, Cost: 7, Kind: Misplaced},
			{Action: three.Action, Kind: Refused},
		},
		Eager: [][sha256.Size]byte{sha256.Sum256([]byte("build"))},
	}
	err := errors.Join(
		j.Add(one), j.Add(two), j.Done(one.Action), j.Add(three),
		j.Done(two.Action), j.Add(two), // put and uploaded, then put again
		j.AddRecord(news), j.AddBring(), j.Close(true))
	if err != nil {
		t.Fatal(err)
	}

	s.Close()
	local := localOf(s.dir)
	j, todo := take(t, local)
	wanted := Pending{Target: want, Signed: true, Uploads: []Upload{two, three}, Record: news, Bring: true}
	if !reflect.DeepEqual(todo, wanted) {
		t.Errorf("read %+v, want %+v", todo, wanted)
	}
	if err := j.Close(false); err != nil {
		t.Fatal(err)
	}
	if j, _ := take(t, local); j != nil {
		t.Error("a journal with nothing left to do remains")
	}
}

// Wherever the death of a process cuts a journal, the whole lines count.
func TestJournalCut(t *testing.T) {
	s := newSession(t)
	j := create(t, s, somewhere, false)
	if err := errors.Join(j.Add(one), j.Add(two), j.Close(true)); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(journalPath(s.dir))
	if err != nil {
		t.Fatal(err)
	}
	for n := range whole {
		local := leave(t, whole[:n])
		j, todo := take(t, local)
		lines := bytes.Count(whole[:n], []byte("\n"))
		if want := max(0, lines-headerLines); len(todo.Uploads) != want {
			t.Errorf("cut at %d: %d uploads, want %d", n, len(todo.Uploads), want)
		}
		// What is added later is not glued to the cut line.
		if lines >= headerLines {
			j.Add(three)
			j.Close(true)
			if _, todo := take(t, local); !slices.Contains(todo.Uploads, three) {
				t.Errorf("cut at %d: a line added later is lost", n)
			}
		}
	}
}

// A line that did not fit the disk does not take the next one with it.
func TestJournalTorn(t *testing.T) {
	s := newSession(t)
	j := create(t, s, somewhere, false)
	whole := j.file
	var err error
	if j.file, err = os.Open(j.path); err != nil { // which can't be written
		t.Fatal(err)
	}
	if err := j.Add(one); err == nil {
		t.Fatal("written to a file that is only read")
	}
	j.file.Close()
	j.file = whole
	fmt.Fprintf(whole, "+ %s", one.Action) // what did fit
	j.Add(two)
	j.Close(true)
	s.Close()
	if _, todo := take(t, localOf(s.dir)); !slices.Equal(todo.Uploads, []Upload{two}) {
		t.Errorf("%v", todo.Uploads)
	}
}

// What is no journal is an error that names it.
func TestJournalNotOurs(t *testing.T) {
	for name, content := range map[string]string{
		"a diary":              "dear diary\n",
		"an older version":     "larder journal v1\nfile:///r\nmain\nunsigned\nm\np\n",
		"an unquoted remote":   journalMagic + "\nfile:///r\nmain\nunsigned\n\"m\"\n\"p\"\n",
		"zeros":                strings.Repeat("\x00", 10<<10),
		"a header of no scope": journalMagic + "\n\"file:///r\"\n\nunsigned\n\"m\"\n\"p\"\n",
	} {
		t.Run(name, func(t *testing.T) {
			local := leave(t, []byte(content))
			if works, err := Left(local); err == nil || !strings.Contains(err.Error(), leftDir(local)) || len(err.Error()) > 500 {
				t.Errorf("%+v, %v", works, err)
			}
		})
	}
}

// FuzzJournal shows that no bytes make reading a journal fail in another way than by
// an error, and that what is read can be written and read again.
func FuzzJournal(f *testing.F) {
	f.Add(fmt.Appendf(nil, "%s\n\"file:///r\"\nmain\nsigned\n\"m\"\n\"p\"\n+ %s %[2]s 7\n+ %s %[2]s 0\n- %[2]s\n= %[2]s %[2]s 4\neager %[2]s\nbring\n", journalMagic, one.Action, two.Action))
	f.Add([]byte(journalMagic + "\n\"\"\nmain\n\n\"\"\n\"\"\n+ 00 00 1\n- x\n+\n\n"))
	f.Fuzz(func(t *testing.T, content []byte) {
		local := leave(t, content)
		if works, err := Left(local); err != nil || len(works) == 0 { // or cut within its header
			return
		}
		_, todo := take(t, local)
		s := newSession(t)
		j := create(t, s, todo.Target, todo.Signed)
		for _, u := range todo.Uploads {
			j.Add(u)
		}
		j.AddRecord(todo.Record)
		if todo.Bring {
			j.AddBring()
		}
		j.Close(true)
		s.Close()
		if _, got := take(t, localOf(s.dir)); !reflect.DeepEqual(got, todo) {
			t.Errorf("%+v became %+v", todo, got)
		}
	})
}

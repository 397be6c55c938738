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
	t.Cleanup(s.Close)
	return s
}

// withJournal makes a session whose journal has the given content.
func withJournal(t testing.TB, content []byte) *Session {
	t.Helper()
	s := newSession(t)
	if err := os.WriteFile(journalPath(s.dir), content, 0o600); err != nil {
		t.Fatal(err)
	}
	return s
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
		Eager: sha256.Sum256([]byte("build")),
	}
	err := errors.Join(
		j.Add(one), j.Add(two), j.Done(one.Action), j.Add(three),
		j.Done(two.Action), j.Add(two), // put and uploaded, then put again
		j.AddRecord(news), j.AddBring(), j.Close(true))
	if err != nil {
		t.Fatal(err)
	}

	j, todo, err := s.OpenJournal()
	if err != nil {
		t.Fatal(err)
	}
	wanted := Pending{Target: want, Signed: true, Uploads: []Upload{two, three}, Record: news, Bring: true}
	if !reflect.DeepEqual(todo, wanted) {
		t.Errorf("read %+v, want %+v", todo, wanted)
	}
	if err := j.Close(false); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(journalPath(s.dir)); !os.IsNotExist(err) {
		t.Errorf("a journal with nothing left to do remains: %v", err)
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
		cut := withJournal(t, whole[:n])
		j, todo, err := cut.OpenJournal()
		if err != nil {
			t.Fatalf("cut at %d: %v", n, err)
		}
		lines := bytes.Count(whole[:n], []byte("\n"))
		if want := max(0, lines-headerLines); len(todo.Uploads) != want {
			t.Errorf("cut at %d: %d uploads, want %d", n, len(todo.Uploads), want)
		}
		// What is added later is not glued to the cut line.
		if lines >= headerLines {
			j.Add(three)
			if todo, _ := readJournal(journalPath(cut.dir)); !slices.Contains(todo.Uploads, three) {
				t.Errorf("cut at %d: a line added later is lost", n)
			}
		}
		j.Close(true)
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
	if todo, err := readJournal(j.path); err != nil || !slices.Equal(todo.Uploads, []Upload{two}) {
		t.Errorf("%v, %v", todo.Uploads, err)
	}
}

// What is no journal is an error that names it.
func TestJournalNotOurs(t *testing.T) {
	for name, content := range map[string]string{
		"a diary":              "dear diary\n",
		"an older version":     "larder journal v1\nfile:///r\nmain\nunsigned\nm\np\n",
		"an unquoted remote":   journalMagic + "\nfile:///r\nmain\nunsigned\n\"m\"\n\"p\"\n",
		"a header of no scope": journalMagic + "\n\"file:///r\"\n\nunsigned\n\"m\"\n\"p\"\n",
	} {
		t.Run(name, func(t *testing.T) {
			s := withJournal(t, []byte(content))
			if _, _, err := s.OpenJournal(); err == nil || !strings.Contains(err.Error(), s.dir) {
				t.Errorf("opened: %v", err)
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
		todo, err := readJournal(journalPath(withJournal(t, content).dir))
		if err != nil || todo.Target.Scope == "" { // or cut before its first line
			return
		}
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
		if got, err := readJournal(j.path); err != nil || !reflect.DeepEqual(got, todo) {
			t.Errorf("%+v became %+v, %v", todo, got, err)
		}
	})
}

package cache

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/larderbuild/larder/protocol"
)

var (
	one   = job{action: protocol.ActionID{1}, cost: 5}
	two   = job{action: protocol.ActionID{2}}
	three = job{action: protocol.ActionID{3}, cost: time.Hour}
)

func TestJournal(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	want := Target{Remote: "s3://bucket/prefix?region=eu-west-1", Scope: "pr-7", Read: []string{"pr-7", "main"}, Profile: Profile{"example.com/m", "linux test"}}
	j, err := createJournal(path, want, true)
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{
		j.add(one), j.add(two), j.done(one.action), j.add(three),
		j.done(two.action), j.add(two), // put and uploaded, then put again
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	news := record{
		uses:  []use{{action: two.action}, {action: one.action, cost: 7, misplaced: true}, {action: three.action, dropped: true}},
		eager: sha256.Sum256([]byte("build")),
	}
	if err := errors.Join(j.addRecord(news), j.addFill()); err != nil {
		t.Fatal(err)
	}
	if err := j.close(true); err != nil {
		t.Fatal(err)
	}

	j, todo, err := openJournal(path)
	if err != nil || !reflect.DeepEqual(todo.target, want) || !todo.signed || !slices.Equal(todo.uploads, []job{two, three}) || !reflect.DeepEqual(todo.record, news) || !todo.fill {
		t.Fatalf("%+v, %v", todo, err)
	}
	if err := j.close(false); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("a journal with nothing left to do remains: %v", err)
	}
}

// Wherever the death of a process cuts a journal, the whole lines count.
func TestJournalCut(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	j, err := createJournal(path, Target{Remote: "file:///remote", Scope: "main"}, false)
	if err != nil {
		t.Fatal(err)
	}
	j.add(one)
	j.add(two)
	j.close(true)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for n := range whole {
		cut := filepath.Join(t.TempDir(), "cut")
		if err := os.WriteFile(cut, whole[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		j, todo, err := openJournal(cut)
		if err != nil {
			t.Fatalf("cut at %d: %v", n, err)
		}
		lines := bytes.Count(whole[:n], []byte("\n"))
		if want := max(0, lines-journalHeader); len(todo.uploads) != want {
			t.Errorf("cut at %d: %d uploads, want %d", n, len(todo.uploads), want)
		}
		// What is added later is not glued to the cut line.
		if lines >= journalHeader {
			j.add(three)
			if todo, _ := readJournal(cut); !slices.Contains(todo.uploads, three) {
				t.Errorf("cut at %d: a line added later is lost", n)
			}
		}
		j.close(true)
	}
}

// A line that did not fit the disk does not take the next one with it.
func TestJournalTorn(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	j, err := createJournal(path, Target{Remote: "file:///remote", Scope: "main"}, false)
	if err != nil {
		t.Fatal(err)
	}
	whole := j.file
	if j.file, err = os.Open(path); err != nil { // which can't be written
		t.Fatal(err)
	}
	if err := j.add(one); err == nil {
		t.Fatal("written to a file that is only read")
	}
	j.file.Close()
	j.file = whole
	fmt.Fprintf(whole, "+ %s", one.action) // what did fit
	j.add(two)
	j.close(true)
	if todo, err := readJournal(path); err != nil || !slices.Equal(todo.uploads, []job{two}) {
		t.Errorf("%v, %v", todo.uploads, err)
	}
}

// What is put again while its upload is under way stays in the journal until
// that, too, is uploaded.
func TestJournalKeepsWhatIsPutAgain(t *testing.T) {
	s, err := newSession(t.TempDir(), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	j, err := createJournal(s.journal(), Target{Remote: "file:///remote", Scope: "main"}, false)
	if err != nil {
		t.Fatal(err)
	}
	defer j.close(false)
	u := newUploader(nil, nil, s, j, nil, new(Stats))
	u.add(one)
	jb, _ := u.next(t.Context())
	u.add(one)
	u.finish(jb, nil)
	if todo, _ := readJournal(s.journal()); !slices.Equal(todo.uploads, []job{one}) {
		t.Errorf("%v in the journal, want what was put again", todo.uploads)
	}
	jb, _ = u.next(t.Context())
	u.finish(jb, nil)
	if todo, _ := readJournal(s.journal()); len(todo.uploads) > 0 {
		t.Errorf("%v in the journal, want nothing", todo.uploads)
	}
}

func TestJournalNotOurs(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	if err := os.WriteFile(path, []byte("dear diary\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := openJournal(path); err == nil {
		t.Error("opened")
	}
}

// FuzzJournal: no bytes make reading a journal fail in another way than by an
// error, and what it yields can be written and read again.
func FuzzJournal(f *testing.F) {
	f.Add(fmt.Appendf(nil, "%s\nfile:///r\nmain\nm\np\n+ %s 7\n+ %s 0\n- %s\n= %s 4\n", journalMagic, one.action, two.action, one.action, two.action))
	f.Add([]byte(journalMagic + "\n\n\n\n\n+ 00 1\n- x\n+\n\n"))
	f.Fuzz(func(t *testing.T, content []byte) {
		path := filepath.Join(t.TempDir(), "journal")
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		todo, err := readJournal(path)
		if err != nil {
			return
		}
		again := filepath.Join(t.TempDir(), "again")
		j, err := createJournal(again, todo.target, todo.signed)
		if err != nil {
			t.Fatal(err)
		}
		for _, jb := range todo.uploads {
			j.add(jb)
		}
		j.addRecord(todo.record)
		if todo.fill {
			j.addFill()
		}
		j.close(true)
		if got, err := readJournal(again); err != nil || !reflect.DeepEqual(got, todo) {
			t.Errorf("%+v became %+v, %v", todo, got, err)
		}
	})
}

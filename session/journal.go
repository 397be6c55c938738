package session

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"

	"github.com/larderbuild/larder/protocol"
)

// Journal is the file in which a session notes what it has still to do. Its methods but
// Close may be called at the same time.
type Journal struct {
	path string

	mu   sync.Mutex
	file *os.File
	torn bool // the last write may have left half a line
}

const (
	journalMagic = "larder journal v3"
	eagerPrefix  = "eager "
	bringLine    = "bring"
	signedLine   = "signed"
	unsignedLine = "unsigned"
	headerLines  = 6
)

// Pending is what a journal says is still to do.
type Pending struct {
	Target  Target
	Signed  bool // whatever is written is to be signed
	Uploads []Upload
	Record  Record // to be published; without uses there is nothing to publish
	Bring   bool   // the local tier is to get what the manifest names
}

// Writes reports whether something is to be written to the remote.
func (p Pending) Writes() bool { return len(p.Uploads) > 0 || len(p.Record.Uses) > 0 }

// CreateJournal makes the session's journal, for work that goes to target. signed
// says that whatever is written is to be signed. The caller closes it.
func (s *Session) CreateJournal(target Target, signed bool) (*Journal, error) {
	path := journalPath(s.dir)
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	j := &Journal{path: path, file: f}
	if err := j.write(header(target, signed)); err != nil {
		return nil, errors.Join(err, j.Close(false))
	}
	return j, nil
}

// header returns the lines before the first thing that happens.
func header(target Target, signed bool) string {
	how := unsignedLine
	if signed {
		how = signedLine
	}
	return strings.Join([]string{
		journalMagic,
		fmt.Sprintf("%q", target.Remote),
		strings.Join(append([]string{target.Scope}, target.Read...), " "),
		how,
		fmt.Sprintf("%q", target.Profile.Module),
		fmt.Sprintf("%q", target.Profile.Name),
		"",
	}, "\n")
}

// OpenJournal opens the journal of a session that was taken over, and returns what
// it says is still to do. It removes the session's other files, which are of no use
// to another process. The error wraps fs.ErrNotExist if the session has no journal.
// The caller closes the journal.
func (s *Session) OpenJournal() (*Journal, Pending, error) {
	path := journalPath(s.dir)
	todo, err := readJournal(path)
	if err != nil {
		return nil, Pending{}, err
	}
	s.removeTemp()
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return nil, Pending{}, err
	}
	j := &Journal{path: path, file: f}
	if err := j.write("\n"); err != nil { // ends a line that was cut
		return nil, Pending{}, errors.Join(err, f.Close())
	}
	return j, todo, nil
}

// Add notes an upload that is to be done.
func (j *Journal) Add(u Upload) error {
	return j.write(fmt.Sprintf("+ %s %s %d\n", u.Action, u.Output, u.Cost.Nanoseconds()))
}

// Done notes that the upload of action is done.
func (j *Journal) Done(action protocol.ActionID) error {
	return j.write(fmt.Sprintf("- %s\n", action))
}

// AddRecord notes what is still to be published.
func (j *Journal) AddRecord(r Record) error {
	var b strings.Builder
	if r.Eager != [sha256.Size]byte{} {
		fmt.Fprintf(&b, "%s%x\n", eagerPrefix, r.Eager)
	}
	for _, u := range r.Uses {
		fmt.Fprintf(&b, "%c %s %s %d\n", u.Kind, u.Action, u.Output, u.Cost.Nanoseconds())
	}
	return j.write(b.String())
}

// AddBring notes that the session did without bytes that the local tier is to get.
func (j *Journal) AddBring() error { return j.write(bringLine + "\n") }

// write appends text in one piece.
func (j *Journal) write(text string) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.torn {
		text = "\n" + text
	}
	_, err := j.file.WriteString(text)
	j.torn = err != nil
	return err
}

// Close closes the journal, and removes it unless something is left to do.
func (j *Journal) Close(left bool) error {
	err := j.file.Close()
	if left {
		return err
	}
	return errors.Join(err, os.Remove(j.path))
}

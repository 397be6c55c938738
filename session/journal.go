package session

import (
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
	journalMagic  = "larder journal v3"
	eagerPrefix   = "eager "
	bringLine     = "bring"
	broughtLine   = "brought"
	publishedLine = "published"
	signedLine    = "signed"
	unsignedLine  = "unsigned"
	headerLines   = 6
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

// Add notes an upload that is to be done.
func (j *Journal) Add(u Upload) error { return j.write(u.line()) }

func (u Upload) line() string {
	return fmt.Sprintf("+ %s %s %d\n", u.Action, u.Output, u.Cost.Nanoseconds())
}

// Done notes that the upload of action is done.
func (j *Journal) Done(action protocol.ActionID) error {
	return j.write(fmt.Sprintf("- %s\n", action))
}

// AddRecord notes what is still to be published.
func (j *Journal) AddRecord(r Record) error { return j.write(r.lines()) }

func (r Record) lines() string {
	var b strings.Builder
	for _, command := range r.Eager {
		fmt.Fprintf(&b, "%s%x\n", eagerPrefix, command)
	}
	for _, u := range r.Uses {
		fmt.Fprintf(&b, "%c %s %s %d\n", u.Kind, u.Action, u.Output, u.Cost.Nanoseconds())
	}
	return b.String()
}

// Published notes that everything was published but rest.
func (j *Journal) Published(rest Record) error {
	return j.write(publishedLine + "\n" + rest.lines())
}

// AddBring notes that the session did without bytes that the local tier is to get.
func (j *Journal) AddBring() error { return j.write(bringLine + "\n") }

// Brought notes that the local tier has got them.
func (j *Journal) Brought() error { return j.write(broughtLine + "\n") }

// text returns the text of a journal that says p.
func (p Pending) text() string {
	var b strings.Builder
	b.WriteString(header(p.Target, p.Signed))
	for _, u := range p.Uploads {
		b.WriteString(u.line())
	}
	b.WriteString(p.Record.lines())
	if p.Bring {
		b.WriteString(bringLine + "\n")
	}
	return b.String()
}

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

// Close closes the journal, and removes it unless something is left to do. Where there
// are no locks, another process may have put its own journal in its place. That one stays.
func (j *Journal) Close(left bool) error {
	left = left || !j.inPlace()
	err := j.file.Close()
	if left {
		return err
	}
	return errors.Join(err, os.Remove(j.path))
}

// inPlace reports whether the file at the journal's path is still the journal.
func (j *Journal) inPlace() bool {
	opened, err := j.file.Stat()
	there, errThere := os.Stat(j.path)
	return err == nil && errThere == nil && os.SameFile(opened, there)
}

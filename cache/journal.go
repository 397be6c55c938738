package cache

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/larderbuild/larder/pack"
	"github.com/larderbuild/larder/protocol"
)

// Target is where a session's work goes: a remote, the scope in it that is
// written, and the profile whose manifest is.
type Target struct {
	Remote  string   // URL
	Scope   string   // that is written; see CheckScope
	Read    []string // scopes that are read, in this order; none: Scope alone
	Profile Profile  // zero: none
}

// CheckScope reports why name can't be that of a scope.
func CheckScope(name string) error { return pack.CheckScope(name) }

// reads returns the scopes that are read.
func (t Target) reads() []string {
	if len(t.Read) == 0 {
		return []string{t.Scope}
	}
	return t.Read
}

// samePlace reports whether t and other are the same remote and scope.
func (t Target) samePlace(other Target) bool {
	return t.Remote == other.Remote && t.Scope == other.Scope
}

// journal is the file in which a session notes what it has still to do, so that
// nothing is lost with the process. It is text, a line each:
//
//	larder journal v1
//	<remote URL>
//	<scope that is written> <each scope that is read>
//	signed | unsigned
//	<module of the profile>
//	<name of the profile>
//	+ <action ID> <build cost in nanoseconds>
//	- <action ID>
//	= <action ID> <build cost in nanoseconds>
//	! <action ID> <build cost in nanoseconds>
//	x <action ID> 0
//	eager <SHA-256 of the command line>
//	fill
//
// "+" is written before a put is answered, "-" when its upload is done. "=" and
// "!" are written at the end of a session whose uses are still to be published:
// they are its uses in their order, "!" where what the manifest names for the
// action was no good; "x" is an action that was not used, and of which that is to
// leave the manifest; "eager" stands with them where the command reads archives
// though nothing has changed. "fill" says that what the session's manifest names is
// to be brought to the local tier. A last line without its line break was being
// written when the process died: it is passed over. An action that is put and
// uploaded again and again has several of both.
type journal struct {
	path string

	mu   sync.Mutex
	file *os.File
	torn bool // the last write may have left half a line
}

const (
	journalMagic  = "larder journal v1"
	eagerPrefix   = "eager "
	fillLine      = "fill"
	signedLine    = "signed"
	unsignedLine  = "unsigned"
	journalHeader = 6 // lines
)

// job is one upload to be done.
type job struct {
	action protocol.ActionID
	cost   time.Duration
}

// pending is what a journal says is still to do.
type pending struct {
	target  Target
	signed  bool // whatever is written is to be signed
	uploads []job
	record  record // to be published; without uses nothing is
	fill    bool
}

// writes reports whether something is to be written to the remote.
func (p pending) writes() bool { return len(p.uploads) > 0 || len(p.record.uses) > 0 }

// createJournal makes the journal at path.
func createJournal(path string, target Target, signed bool) (*journal, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	j := &journal{path: path, file: f}
	scopes := strings.Join(append([]string{target.Scope}, target.Read...), " ")
	how := unsignedLine
	if signed {
		how = signedLine
	}
	return j, j.write(strings.Join([]string{
		journalMagic, target.Remote, scopes, how, target.Profile.Module, target.Profile.Name, "",
	}, "\n"))
}

// openJournal opens the journal of a session that was taken over, and returns
// what it says is still to do.
func openJournal(path string) (*journal, pending, error) {
	todo, err := readJournal(path)
	if err != nil {
		return nil, pending{}, err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return nil, pending{}, err
	}
	j := &journal{path: path, file: f}
	return j, todo, j.write("\n") // ends a line that was cut
}

func readJournal(path string) (pending, error) {
	f, err := os.Open(path)
	if err != nil {
		return pending{}, err
	}
	defer f.Close()

	var header []string
	var todo pending
	queued := make(map[protocol.ActionID]job)
	var order []protocol.ActionID
	// Lines are short; one that is not is no line of ours.
	for lines := bufio.NewReaderSize(f, 8<<10); ; {
		line, err := lines.ReadSlice('\n')
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			break // the end, or a line that was cut
		}
		text := strings.TrimSuffix(string(line), "\n")
		if len(header) < journalHeader {
			header = append(header, text)
			continue
		}
		if text == fillLine {
			todo.fill = true
			continue
		}
		if digest, ok := strings.CutPrefix(text, eagerPrefix); ok {
			if sum, err := hex.DecodeString(digest); err == nil && len(sum) == len(todo.record.eager) {
				todo.record.eager = [sha256.Size]byte(sum)
			}
			continue
		}
		kind, action, cost, ok := parseLine(text)
		if !ok {
			continue
		}
		switch kind {
		case "+":
			if _, again := queued[action]; !again {
				order = append(order, action)
			}
			queued[action] = job{action, cost}
		case "-":
			delete(queued, action)
		default:
			todo.record.uses = append(todo.record.uses, use{action: action, cost: cost, misplaced: kind == "!", dropped: kind == "x"})
		}
	}
	if len(header) > 0 && header[0] != journalMagic {
		return pending{}, fmt.Errorf("%s is not a journal of larder", path)
	}
	if len(header) < journalHeader {
		return pending{}, nil // cut before its first line
	}
	scopes := strings.Fields(header[2])
	if len(scopes) == 0 {
		return pending{}, fmt.Errorf("%s names no scope", path)
	}
	todo.target = Target{Remote: header[1], Scope: scopes[0], Read: scopes[1:], Profile: Profile{header[4], header[5]}}
	todo.signed = header[3] == signedLine
	for _, action := range order {
		if jb, ok := queued[action]; ok {
			todo.uploads = append(todo.uploads, jb)
			delete(queued, action)
		}
	}
	return todo, nil
}

// parseLine parses a line below the header.
func parseLine(line string) (kind string, action protocol.ActionID, cost time.Duration, ok bool) {
	fields := strings.Fields(line)
	if len(fields) < 2 || len(fields[1]) != hex.EncodedLen(len(action)) {
		return "", action, 0, false
	}
	if _, err := hex.Decode(action[:], []byte(fields[1])); err != nil {
		return "", action, 0, false
	}
	switch kind = fields[0]; {
	case kind == "-" && len(fields) == 2:
		return kind, action, 0, true
	case slices.Contains([]string{"+", "=", "!", "x"}, kind) && len(fields) == 3:
		nanos, err := strconv.ParseInt(fields[2], 10, 64)
		return kind, action, boundedCost(time.Duration(nanos)), err == nil
	}
	return "", action, 0, false
}

func (j *journal) add(jb job) error {
	return j.write(fmt.Sprintf("+ %s %d\n", jb.action, jb.cost.Nanoseconds()))
}

func (j *journal) done(action protocol.ActionID) error {
	return j.write(fmt.Sprintf("- %s\n", action))
}

// addRecord notes what the session has still to publish.
func (j *journal) addRecord(r record) error {
	var b strings.Builder
	if r.eager != (record{}).eager {
		fmt.Fprintf(&b, "%s%x\n", eagerPrefix, r.eager)
	}
	for _, u := range r.uses {
		kind := "="
		switch {
		case u.misplaced:
			kind = "!"
		case u.dropped:
			kind = "x"
		}
		fmt.Fprintf(&b, "%s %s %d\n", kind, u.action, u.cost.Nanoseconds())
	}
	return j.write(b.String())
}

// addFill notes that the session did without bytes that are to be brought.
func (j *journal) addFill() error { return j.write(fillLine + "\n") }

// write appends text in one piece.
func (j *journal) write(text string) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.torn {
		text = "\n" + text
	}
	_, err := j.file.WriteString(text)
	j.torn = err != nil
	return err
}

// close closes the journal, and removes it where nothing is left to do.
func (j *journal) close(left bool) error {
	err := j.file.Close()
	if left {
		return err
	}
	return errors.Join(err, os.Remove(j.path))
}

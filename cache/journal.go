package cache

import (
	"bufio"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/larderbuild/larder/protocol"
)

// Target is where uploads go: a remote, and the scope in it that is written.
type Target struct {
	Remote string // URL
	Scope  string
}

// journal is the file in which a session notes what it has still to upload, so
// that nothing is lost with the process. It is text, a line each:
//
//	larder journal v1
//	<remote URL>
//	<scope>
//	+ <action ID> <build cost in nanoseconds>
//	- <action ID>
//
// "+" is written before a put is answered, "-" when its upload is done. A last
// line without its line break was being written when the process died: it is
// passed over, as its put was never answered. An action that is put and
// uploaded again and again has several of both.
type journal struct {
	path string

	mu   sync.Mutex
	file *os.File
	torn bool // the last write may have left half a line
}

const journalMagic = "larder journal v1"

// job is one upload to be done.
type job struct {
	action protocol.ActionID
	cost   time.Duration
}

// createJournal makes the journal at path.
func createJournal(path string, target Target) (*journal, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	j := &journal{path: path, file: f}
	return j, j.write(fmt.Sprintf("%s\n%s\n%s\n", journalMagic, target.Remote, target.Scope))
}

// openJournal opens the journal of a session that was taken over, and returns
// what it says is still to do.
func openJournal(path string) (*journal, Target, []job, error) {
	target, jobs, err := readJournal(path)
	if err != nil {
		return nil, Target{}, nil, err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return nil, Target{}, nil, err
	}
	j := &journal{path: path, file: f}
	return j, target, jobs, j.write("\n") // ends a line that was cut
}

func readJournal(path string) (Target, []job, error) {
	f, err := os.Open(path)
	if err != nil {
		return Target{}, nil, err
	}
	defer f.Close()

	// Lines are short; one that is not is no line of ours.
	var header []string
	pending := make(map[protocol.ActionID]job)
	var order []protocol.ActionID
	lines := bufio.NewReaderSize(f, 8<<10)
	for {
		line, err := lines.ReadSlice('\n')
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			break // the end, or a line that was cut
		}
		text := strings.TrimSuffix(string(line), "\n")
		if len(header) < 3 {
			header = append(header, text)
			continue
		}
		done, jb, ok := parseJob(text)
		switch {
		case !ok:
		case done:
			delete(pending, jb.action)
		default:
			if _, again := pending[jb.action]; !again {
				order = append(order, jb.action)
			}
			pending[jb.action] = jb
		}
	}
	if len(header) > 0 && header[0] != journalMagic {
		return Target{}, nil, fmt.Errorf("%s is not a journal of larder", path)
	}

	if len(header) < 3 {
		return Target{}, nil, nil // cut before its first upload
	}

	var jobs []job
	for _, action := range order {
		if jb, ok := pending[action]; ok {
			jobs = append(jobs, jb)
			delete(pending, action)
		}
	}
	return Target{Remote: header[1], Scope: header[2]}, jobs, nil
}

// parseJob parses a line below the header.
func parseJob(line string) (done bool, jb job, ok bool) {
	fields := strings.Fields(line)
	if len(fields) < 2 || len(fields[1]) != hex.EncodedLen(len(jb.action)) {
		return false, job{}, false
	}
	if _, err := hex.Decode(jb.action[:], []byte(fields[1])); err != nil {
		return false, job{}, false
	}
	switch {
	case fields[0] == "-" && len(fields) == 2:
		return true, jb, true
	case fields[0] == "+" && len(fields) == 3:
		nanos, err := strconv.ParseInt(fields[2], 10, 64)
		jb.cost = max(0, time.Duration(nanos))
		return false, jb, err == nil
	}
	return false, job{}, false
}

func (j *journal) add(jb job) error {
	return j.write(fmt.Sprintf("+ %s %d\n", jb.action, jb.cost.Nanoseconds()))
}

func (j *journal) done(action protocol.ActionID) error {
	return j.write(fmt.Sprintf("- %s\n", action))
}

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
func (j *journal) close(left int) error {
	err := j.file.Close()
	if left > 0 {
		return err
	}
	return errors.Join(err, os.Remove(j.path))
}

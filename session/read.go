package session

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/larderbuild/larder/protocol"
)

// errCut says that a journal ends within its header.
var errCut = errors.New("it ends within its header")

// readHeader returns what the header of the journal at path says.
func readHeader(path string) (t Target, signed bool, err error) {
	var r reader
	err = r.read(path, func(string) bool { return false })
	return r.todo.Target, r.todo.Signed, err
}

// reader takes in journals, the oldest first.
type reader struct {
	todo   Pending
	queued map[protocol.ActionID]Upload // uploads that are not done
	order  []protocol.ActionID          // of these, in which they were first added
	record Record                       // of the journal that is being read
}

// file takes in the journal at path.
func (r *reader) file(path string) error {
	r.record = Record{}
	err := r.read(path, func(text string) bool {
		r.line(text)
		return true
	})
	r.todo.Record.merge(r.record)
	if errors.Is(err, errCut) {
		return nil // nothing was noted yet
	}
	return err
}

// read takes in the header of the journal at path. It calls line for each line below,
// until line returns false.
func (r *reader) read(path string, line func(string) bool) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()

	var header []string
	// A line over 8 KiB is read in pieces, of which none is a line of ours.
	for lines := bufio.NewReaderSize(f, 8<<10); ; {
		bytes, err := lines.ReadSlice('\n')
		switch {
		case errors.Is(err, io.EOF): // what is left was cut
			if len(header) < headerLines {
				return errCut
			}
			return nil
		case err != nil && !errors.Is(err, bufio.ErrBufferFull):
			return err
		}
		text := strings.TrimSuffix(string(bytes), "\n")
		if len(header) < headerLines {
			if header = append(header, text); header[0] != journalMagic {
				return fmt.Errorf("%s is not a journal of this larder: it begins with %.40q, want %q", path, text, journalMagic)
			}
			if len(header) < headerLines {
				continue
			}
			if r.todo.Target, r.todo.Signed, err = parseHeader(header); err != nil {
				return fmt.Errorf("%s: %w", path, err)
			}
		} else if !line(text) {
			return nil
		}
	}
}

// parseHeader parses the lines of header.
func parseHeader(lines []string) (t Target, signed bool, err error) {
	for _, field := range []struct {
		to   *string
		from string
	}{{&t.Remote, lines[1]}, {&t.Profile.Module, lines[4]}, {&t.Profile.Name, lines[5]}} {
		if *field.to, err = strconv.Unquote(field.from); err != nil {
			return t, false, fmt.Errorf("%s in its header: %w", field.from, err)
		}
	}
	scopes := strings.Fields(lines[2])
	if len(scopes) == 0 {
		return t, false, errors.New("its header names no scope")
	}
	t.Scope, t.Read = scopes[0], scopes[1:]
	return t, lines[3] == signedLine, nil
}

// line takes in a line below the header. It passes over what it can't read.
func (r *reader) line(text string) {
	switch text {
	case bringLine, broughtLine:
		r.todo.Bring = text == bringLine
		return
	case publishedLine:
		r.record = Record{}
		return
	}
	if digest, ok := strings.CutPrefix(text, eagerPrefix); ok {
		var command [sha256.Size]byte
		if parseHex(command[:], digest) {
			r.record.Eager = append(r.record.Eager, command)
		}
		return
	}
	fields := strings.Fields(text)
	if len(fields) < 2 || len(fields[0]) != 1 {
		return
	}
	var action protocol.ActionID
	if !parseHex(action[:], fields[1]) {
		return
	}
	switch kind := Kind(fields[0][0]); kind {
	case '+':
		r.add(action, fields[2:])
	case '-':
		delete(r.queued, action)
	case Found, Fetched, Made, Misplaced, Refused:
		u := Use{Action: action, Kind: kind}
		if len(fields) != 4 || !parseHex(u.Output[:], fields[2]) || !parseCost(&u.Cost, fields[3]) {
			return
		}
		r.record.Uses = append(r.record.Uses, u)
	}
}

// add takes in an upload of action, whose other fields are rest.
func (r *reader) add(action protocol.ActionID, rest []string) {
	u := Upload{Action: action}
	if len(rest) != 2 || !parseHex(u.Output[:], rest[0]) || !parseCost(&u.Cost, rest[1]) {
		return
	}
	if r.queued == nil {
		r.queued = make(map[protocol.ActionID]Upload)
	}
	if _, again := r.queued[action]; !again {
		r.order = append(r.order, action)
	}
	r.queued[action] = u
}

// pending returns what the lines say is still to do.
func (r *reader) pending() Pending {
	for _, action := range r.order {
		if u, ok := r.queued[action]; ok {
			r.todo.Uploads = append(r.todo.Uploads, u)
			delete(r.queued, action)
		}
	}
	return r.todo
}

// unsaved returns how many entries the remote does not have yet: those that are still to be
// uploaded or, of a session that uploads none, those that it has made and that are still to be
// published.
func (r *reader) unsaved() (n int) {
	todo := r.pending()
	if len(r.order) > 0 {
		return len(todo.Uploads)
	}
	for _, u := range todo.Record.Uses {
		if u.Kind == Made || u.Kind == Misplaced {
			n++
		}
	}
	return n
}

// parseHex decodes text into all of to, and leaves to as it is if it can't.
func parseHex(to []byte, text string) bool {
	b, err := hex.DecodeString(text)
	if err != nil || len(b) != len(to) {
		return false
	}
	copy(to, b)
	return true
}

// parseCost parses a build cost.
func parseCost(to *time.Duration, text string) bool {
	nanos, err := strconv.ParseInt(text, 10, 64)
	*to = time.Duration(nanos)
	return err == nil && nanos >= 0
}

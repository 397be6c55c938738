package protocol

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"
)

// The commands of the protocol. The handshake declares all of them.
const (
	cmdGet   = "get"
	cmdPut   = "put"
	cmdClose = "close"
)

// request is one line from the go command. If BodySize is greater than 0, a body follows
// on a line of its own, whatever the command.
type request struct {
	ID       int64
	Command  string
	ActionID []byte
	OutputID []byte
	BodySize int64
}

// response is one line to the go command: the handshake, or an answer.
type response struct {
	ID            int64
	KnownCommands []string   `json:",omitempty"`
	Err           string     `json:",omitempty"`
	Miss          bool       `json:",omitempty"`
	OutputID      []byte     `json:",omitempty"`
	Size          int64      `json:",omitempty"`
	Time          *time.Time `json:",omitempty"`
	DiskPath      string     `json:",omitempty"`
}

// parseRequest parses a line. Its errors end the session, because nobody can know then
// whether a body follows.
func parseRequest(line []byte) (request, error) {
	var req request
	if err := json.Unmarshal(line, &req); err != nil {
		return request{}, fmt.Errorf("request %.60q: %w", line, err)
	}
	if req.ID <= 0 {
		return request{}, fmt.Errorf("request %.60q: no ID to answer under", line)
	}
	return req, nil
}

// check returns what is wrong with a request, or nil. The session goes on after its
// errors. It refuses action and output IDs of another length than 32 bytes: if they
// were padded or cut, different IDs could become the same.
func (r *request) check() error {
	switch {
	case r.Command != cmdGet && r.Command != cmdPut:
		return fmt.Errorf("unknown command %.40q: use get, put or close", r.Command)
	case len(r.ActionID) != len(ActionID{}):
		return fmt.Errorf("%s: action ID %.40x has %d bytes, not %d", r.Command, r.ActionID, len(r.ActionID), len(ActionID{}))
	case r.Command == cmdGet && r.BodySize != 0:
		return fmt.Errorf("get %x: unexpected body of %d bytes", r.ActionID, r.BodySize)
	case r.Command == cmdGet:
		return nil
	case len(r.OutputID) != len(OutputID{}):
		return fmt.Errorf("put %x: output ID %.40x has %d bytes, not %d", r.ActionID, r.OutputID, len(r.OutputID), len(OutputID{}))
	case r.BodySize < 0:
		return fmt.Errorf("put %x: body of %d bytes", r.ActionID, r.BodySize)
	}
	return nil
}

// getResponse returns the answer to a get. It answers an entry that the go command would
// misunderstand as a miss. Such an entry is a bug in the handler, but costs only time
// then.
func getResponse(id int64, e Entry, err error) response {
	switch {
	case errors.Is(err, ErrMiss):
		return response{ID: id, Miss: true}
	case err != nil:
		return response{ID: id, Err: err.Error()}
	}
	t := e.Time.UTC()
	if e.Size < 0 || t.IsZero() || t.Year() < 0 || t.Year() > 9999 || checkPath(e.DiskPath) != nil {
		return response{ID: id, Miss: true}
	}
	return response{ID: id, OutputID: e.OutputID[:], Size: e.Size, Time: &t, DiskPath: e.DiskPath}
}

// putResponse returns the answer to a put.
func putResponse(id int64, diskPath string, err error) response {
	if err == nil {
		err = checkPath(diskPath)
	}
	if err != nil {
		return response{ID: id, Err: err.Error()}
	}
	return response{ID: id, DiskPath: diskPath}
}

// checkPath returns an error if the go command would refuse path, which it does if path is
// empty, or if path is not UTF-8, which JSON can't carry.
func checkPath(path string) error {
	if path == "" {
		return errors.New("stored, but without a path")
	}
	if !utf8.ValidString(path) {
		return fmt.Errorf("path %q is not UTF-8", path)
	}
	return nil
}

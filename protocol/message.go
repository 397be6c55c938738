package protocol

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"
)

// The commands of the protocol, all of which the handshake declares.
const (
	cmdGet   = "get"
	cmdPut   = "put"
	cmdClose = "close"
)

// request is one line from the go command. BodySize > 0 announces a body on a
// line of its own, whatever the command.
type request struct {
	ID       int64
	Command  string
	ActionID []byte
	OutputID []byte
	BodySize int64
}

// response is one line to the go command: the handshake or an answer.
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

// parseRequest reads one line. Its errors leave open whether a body follows,
// so they end the session.
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

// check returns what is wrong with a request that can be answered. IDs of
// another length are refused: padded or cut they would make keys collide.
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

// getResponse answers a get. An entry that the go command would misread is a
// bug of the handler's; as a miss it costs time and nothing else.
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

func putResponse(id int64, diskPath string, err error) response {
	if err == nil {
		err = checkPath(diskPath)
	}
	if err != nil {
		return response{ID: id, Err: err.Error()}
	}
	return response{ID: id, DiskPath: diskPath}
}

// checkPath says whether a path survives the way to the go command: an empty
// one is an error to it, and JSON has no room for bytes that are not UTF-8.
func checkPath(path string) error {
	if path == "" {
		return errors.New("stored, but without a path")
	}
	if !utf8.ValidString(path) {
		return fmt.Errorf("path %q is not UTF-8", path)
	}
	return nil
}

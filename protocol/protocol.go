package protocol

import (
	"context"
	"encoding/hex"
	"errors"
	"io"
	"time"
)

// ActionID is the key of a cache entry: the hash of everything that determines the
// result of an action.
type ActionID [32]byte

// String returns the ID in lower-case hexadecimal.
func (id ActionID) String() string { return hex.EncodeToString(id[:]) }

// OutputID is the SHA-256 of a body.
type OutputID [32]byte

// String returns the ID in lower-case hexadecimal.
func (id OutputID) String() string { return hex.EncodeToString(id[:]) }

// ErrMiss is the error with which a Handler replies if it has no entry for an action.
// The Handler may wrap it to say why.
var ErrMiss = errors.New("no entry")

// Entry is the answer to a get: the entry of the action, and the path of its body.
type Entry struct {
	OutputID OutputID
	Size     int64     // of the body, in bytes
	Time     time.Time // of the original put; never zero
	DiskPath string    // the absolute path of the body
}

// Put is a request to store a body under an action.
type Put struct {
	ActionID ActionID
	OutputID OutputID
	Size     int64 // of the body, in bytes, as announced

	// Body is the decoded body, which is read from the go command as a stream. It
	// ends with io.EOF only if the encoding is intact and has exactly Size bytes,
	// otherwise with another error. It is valid until Handler.Put returns. Put
	// need not read it to its end.
	Body io.Reader
}

// Handler answers the requests of one session.
type Handler interface {
	// Get looks up action and calls reply exactly once, before or after Get
	// returns, from any goroutine. Get runs on the goroutine that reads requests.
	// It may use the local disk, but must leave everything slower to another
	// goroutine. When ctx is done, at the end of the session, it must reply
	// promptly, and may reply anything.
	Get(ctx context.Context, action ActionID, reply func(Entry, error))

	// Put stores an entry and returns the absolute path of its body. It runs on
	// the goroutine that reads requests, because the body is part of the same
	// input. Calls of Put never overlap.
	Put(ctx context.Context, put Put) (diskPath string, err error)
}

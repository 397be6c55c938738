package protocol

import (
	"context"
	"encoding/hex"
	"errors"
	"io"
	"time"
)

// ActionID is the key of a cache entry: the hash of everything that determines
// an action's result.
type ActionID [32]byte

// String returns the ID in lower-case hexadecimal.
func (id ActionID) String() string { return hex.EncodeToString(id[:]) }

// OutputID is the SHA-256 of a body.
type OutputID [32]byte

// String returns the ID in lower-case hexadecimal.
func (id OutputID) String() string { return hex.EncodeToString(id[:]) }

// ErrMiss is what a Handler replies when it has no entry for an action. It may
// be wrapped to carry the reason.
var ErrMiss = errors.New("no entry")

// Entry answers a get: what the action put, and where its body lies.
type Entry struct {
	OutputID OutputID
	Size     int64     // of the body, in bytes
	Time     time.Time // of the original put; never zero
	DiskPath string    // absolute
}

// Put is a request to store a body under an action.
type Put struct {
	ActionID ActionID
	OutputID OutputID
	Size     int64 // of the body, in bytes, as announced

	// Body streams the decoded body. It ends with io.EOF only after exactly
	// Size bytes of intact encoding, and with another error otherwise. It is
	// valid until Handler.Put returns, which need not read it to its end.
	Body io.Reader
}

// Handler answers the requests of one session.
type Handler interface {
	// Get looks up action and calls reply exactly once, before or after it
	// returns, from any goroutine. Get itself runs on the goroutine that
	// reads requests: it may touch the local disk, but leaves everything
	// slower to another goroutine. Once ctx is done (the session is over) it
	// must reply promptly, with anything.
	Get(ctx context.Context, action ActionID, reply func(Entry, error))

	// Put stores put and returns the absolute path of the stored body. It
	// runs on the goroutine that reads requests, since the body is read from
	// there.
	Put(ctx context.Context, put Put) (diskPath string, err error)
}

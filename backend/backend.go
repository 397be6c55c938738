package backend

import (
	"context"
	"crypto/md5"
	"errors"
	"io"
	"iter"
)

// Errors by which callers decide what to do next. Drivers wrap them with the
// operation and the key; everything else a driver returns is a fault of the
// moment, worth another try.
var (
	// ErrNotFound says that the key does not exist, and nothing else does.
	ErrNotFound = errors.New("object not found")

	// ErrConflict says that a conditional Put lost: the object is no longer,
	// or not yet, what the condition demands.
	ErrConflict = errors.New("object changed by another writer")

	// ErrDigest says that the store refused a Put because the bytes it got
	// do not have the MD5 or the size that was announced.
	ErrDigest = errors.New("content does not match its digest")

	// ErrDenied says that the store knows who is asking and refuses, or
	// cannot find out: wrong credentials, missing permission, no such bucket.
	// Trying again does not help.
	ErrDenied = errors.New("access denied")

	// ErrReadOnly says that the store was opened for reading only.
	ErrReadOnly = errors.New("store is read-only")
)

// Store is one remote object store: flat keys, whole objects. All methods may
// be called from many goroutines at once, and all end early, with an error
// that wraps context.Cause(ctx), when ctx is done.
type Store interface {
	// Get opens the object under key, or the part of it that r names. A
	// range that starts at or past the object's end gives an empty body or
	// an error, one that ends past it gives what is there. The caller owns
	// body and closes it, at any point; reading it ends with ctx.
	Get(ctx context.Context, key string, r Range) (body io.ReadCloser, obj Object, err error)

	// Put stores body under key, whole or not at all, replacing what was
	// there. It reads body from its current position to the end, and may
	// seek back there to try again; it never closes it and does not use it
	// after returning.
	Put(ctx context.Context, key string, body io.ReadSeeker, opts PutOptions) (Object, error)

	// Delete removes the object under key. Removing what is not there is no
	// error.
	Delete(ctx context.Context, key string) error

	// List yields every object whose key begins with prefix, in no promised
	// order, asking for further pages as it goes. An error is yielded once,
	// last.
	List(ctx context.Context, prefix string) iter.Seq2[Object, error]

	// Close releases connections. No other method may be running or follow.
	Close() error
}

// Range is a part of an object in bytes. The zero Range is all of it; a Length
// of 0 reaches to the end.
type Range struct {
	Offset, Length int64
}

// Object describes one stored object.
type Object struct {
	Key     string
	Size    int64  // of the whole object, in bytes, also where a range was asked for
	Version string // opaque; changes whenever the object does; for Condition.Version
}

// PutOptions say what the bytes of a Put are and when it may happen.
type PutOptions struct {
	Size int64          // in bytes
	MD5  [md5.Size]byte // the store must refuse other bytes, with ErrDigest
	If   Condition      // otherwise ErrConflict
}

// Condition limits a Put to a known state of the key. The zero Condition is
// none; at most one field is set.
type Condition struct {
	Absent  bool   // only if there is no object
	Version string // only if the object is still this one
}

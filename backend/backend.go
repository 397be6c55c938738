package backend

import (
	"context"
	"crypto/md5"
	"errors"
	"fmt"
	"io"
	"iter"
	"time"
)

// By these errors callers decide what to do next. Drivers wrap them with the
// operation and the key. Every other error of a driver is a fault that may pass,
// so the caller may try again.
var (
	// ErrNotFound says that there is no object under the key. Drivers return it
	// in no other case.
	ErrNotFound = errors.New("object not found")

	// ErrConflict says that a conditional Put stored nothing, because the
	// object is not in the state that the condition demands.
	ErrConflict = errors.New("object changed by another writer")

	// ErrDigest says that the store refused a Put, because its bytes do not
	// have the MD5 or the size that the options say.
	ErrDigest = errors.New("content does not match its digest")

	// ErrNoConditions says that the store has no conditional Puts. It stored nothing.
	ErrNoConditions = errors.New("store without conditional puts")

	// ErrDenied says that the store refuses the caller or does not know the
	// caller: the credentials are wrong, a permission is missing, or there is
	// no such bucket. Trying again does not help.
	ErrDenied = errors.New("access denied")

	// ErrUnsupported says that the store has no such operation: it can't list its
	// objects, or can't delete any.
	ErrUnsupported = errors.New("not possible with this store")

	// ErrReadOnly says that the store was opened for reading only.
	ErrReadOnly = errors.New("store is read-only")

	// ErrReader says that the store lets this caller only read, as it should. It wraps
	// ErrReadOnly. Another caller on this machine has the same rights, so what was to be
	// written need not be kept for one.
	ErrReader = fmt.Errorf("%w for this caller", ErrReadOnly)
)

// Store is one remote object store. Its keys are flat, and it stores whole
// objects. Many goroutines may call its methods at once. When ctx is done, a
// method ends early, with an error that wraps context.Cause(ctx).
type Store interface {
	// Traits says what kind of store it is. It uses neither the network nor files.
	Traits() Traits

	// Get opens the object under key, or the part of it that r names. If r
	// starts at or past the object's end, Get returns an empty body or an
	// error; if only its end lies past the object's end, the body ends with
	// the object. The caller closes body, also before it has read all. When
	// ctx is done, reads of body fail.
	Get(ctx context.Context, key string, r Range) (body io.ReadCloser, obj Object, err error)

	// Put stores body under key, whole or not at all, and replaces an object
	// that is there. It reads body from its current position to the end, and
	// may seek back to that position to try again. It never closes body, and
	// does not use it after it has returned.
	Put(ctx context.Context, key string, body io.ReadSeeker, opts PutOptions) (Object, error)

	// Delete removes the object under key. If there is none, that is no error.
	// If version is not empty, Delete removes only an object of that version. It
	// fails with ErrConflict if another one is there by now, and may do so if none
	// is. A server that knows no conditions removes whichever is there.
	Delete(ctx context.Context, key, version string) error

	// List yields every object whose key begins with prefix, in any order, and
	// tells when each was written last. It requests a further page when the
	// caller has had all objects of the one before. It yields at most one error,
	// as the last element.
	List(ctx context.Context, prefix string) iter.Seq2[Object, error]

	// Close releases connections. The caller calls it when no other method
	// runs, and calls no method after it.
	Close() error
}

// Range is a part of an object, in bytes. A Length of 0 means up to the object's
// end, so the zero Range is the whole object.
type Range struct {
	Offset, Length int64
}

// Object describes one stored object.
type Object struct {
	Key     string
	Size    int64  // of the whole object in bytes, also in the answer to a range
	Version string // opaque; changes whenever the object does (but see Traits.Unconditional); for Condition.Version

	// Written is when the object was written last, and Listed is when the store said
	// so. Both are by the store's own clock, if it has one. Only List sets them.
	Written, Listed time.Time
}

// Age returns how old an object was when it was listed, and 0 if it was not.
func (o Object) Age() time.Duration {
	if o.Written.IsZero() {
		return 0
	}
	return o.Listed.Sub(o.Written)
}

// PutOptions describe the bytes of a Put, and say in which state of the key it
// may store them.
type PutOptions struct {
	Size int64          // in bytes
	MD5  [md5.Size]byte // the store refuses other bytes with ErrDigest
	If   Condition      // if it does not hold, Put fails with ErrConflict
}

// OptionsOf returns the options of an unconditional Put of data.
func OptionsOf(data []byte) PutOptions {
	return PutOptions{Size: int64(len(data)), MD5: md5.Sum(data)}
}

// Condition limits a Put to a known state of the key. The zero Condition sets no
// limit. At most one field is set.
type Condition struct {
	Absent  bool   // only if there is no object
	Version string // only if the object still has this version
}

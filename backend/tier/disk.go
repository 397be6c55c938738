package tier

import (
	"errors"
	"io"
)

// diskError is a fault of the tier's own files. Those of a store that is a directory look alike
// otherwise.
type diskError struct{ error }

func (e diskError) Unwrap() error { return e.error }

// ofDisk returns err, which may be nil, as a fault of the tier's own files.
func ofDisk(err error) error {
	if err == nil {
		return nil
	}
	return diskError{err}
}

// isOfDisk reports whether err is a fault of the tier's own files.
func isOfDisk(err error) bool {
	var disk diskError
	return errors.As(err, &disk)
}

// errTooLarge says that an object is larger than the tier.
var errTooLarge = errors.New("larger than the tier")

// bypasses reports whether a request that has failed by err goes to the store itself.
func (t *Store) bypasses(err error) bool {
	if isOfDisk(err) {
		t.Log.Error("the tier can't be written, so a request goes to the store itself", "err", err)
		return true
	}
	return errors.Is(err, errTooLarge)
}

// diskWriter writes to a file of the tier.
type diskWriter struct{ io.Writer }

func (w diskWriter) Write(p []byte) (int, error) {
	n, err := w.Writer.Write(p)
	return n, ofDisk(err)
}

package cache

import (
	"errors"
	"time"

	"github.com/larderbuild/larder/localdisk"
	"github.com/larderbuild/larder/session"
)

// Sweep removes what larder has written beside the entries of local and nobody needs any
// more. Everything that larder writes there has its end here, or by its size; the table in
// ARCHITECTURE.md lists it. What sessions left to do ends after maxAge, if that is not 0.
func Sweep(local *localdisk.Dir, maxAge time.Duration) error {
	return errors.Join(session.Trim(local.Path(), maxAge), sweepCopies(local), sweepWithheld(local))
}

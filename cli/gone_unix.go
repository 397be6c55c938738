//go:build unix

package cli

import (
	"errors"
	"syscall"
)

// isGone reports whether err, from a write to the go command, says that the go command is
// gone.
func isGone(err error) bool { return errors.Is(err, syscall.EPIPE) }

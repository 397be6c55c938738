package cli

import (
	"errors"

	"golang.org/x/sys/windows"
)

// isGone reports whether err, from a write to the go command, says that the go command is
// gone.
func isGone(err error) bool {
	return errors.Is(err, windows.ERROR_BROKEN_PIPE) || errors.Is(err, windows.ERROR_NO_DATA)
}

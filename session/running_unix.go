//go:build unix

package session

import "golang.org/x/sys/unix"

// running reports whether there is a process whose ID is pid. It returns an error if that
// can't be known.
func running(pid int) (bool, error) {
	switch err := unix.Kill(pid, 0); err {
	case nil, unix.EPERM:
		return true, nil
	case unix.ESRCH:
		return false, nil
	default:
		return false, err
	}
}

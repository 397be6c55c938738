package session

import (
	"golang.org/x/sys/unix"
)

// bootID returns what tells this run of this kernel from all others, or "".
func bootID() string {
	id, err := unix.Sysctl("kern.bootsessionuuid")
	if err != nil {
		return ""
	}
	return id
}

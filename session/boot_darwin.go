package session

import (
	"os"

	"golang.org/x/sys/unix"
)

// bootID returns what tells this run of this kernel from all others.
func bootID() string {
	id, err := unix.Sysctl("kern.bootsessionuuid")
	if err != nil {
		name, _ := os.Hostname()
		return name
	}
	return id
}

//go:build !linux && !darwin

package session

import "os"

// bootID returns the name of this machine, for want of something that tells its runs
// apart.
func bootID() string {
	name, _ := os.Hostname()
	return name
}

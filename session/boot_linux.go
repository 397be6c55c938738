package session

import "os"

// bootID returns what tells this run of this kernel from all others.
func bootID() string {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		name, _ := os.Hostname()
		return name
	}
	return string(id)
}

//go:build !unix

package session

import "github.com/shirou/gopsutil/v4/process"

// running reports whether there is a process whose ID is pid. It returns an error if that
// can't be known.
func running(pid int) (bool, error) { return process.PidExists(int32(pid)) }

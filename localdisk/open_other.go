//go:build !windows

package localdisk

import "os"

// openShared opens the file at path for reading. Others may rename and remove it.
func openShared(path string) (*os.File, error) { return os.Open(path) }

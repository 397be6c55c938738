package harness

import (
	"os"
	"syscall"
)

// WriteProgram writes a file that the test is going to run. While the file is open for writing,
// no other test of this process starts a program: that would have the open file for a moment,
// too, and the system refuses to run a file that anybody has open for writing.
func WriteProgram(path string, content []byte) error {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	return os.WriteFile(path, content, 0o777)
}

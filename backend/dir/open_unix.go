//go:build unix

package dir

import "syscall"

// nonblock opens a FIFO or a device at once. Without it the open waits for another
// process, maybe for ever.
const nonblock = syscall.O_NONBLOCK

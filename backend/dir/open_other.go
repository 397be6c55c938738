//go:build !unix

package dir

// nonblock is for FIFOs, which have no names in the file system here.
const nonblock = 0

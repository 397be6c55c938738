// Package integration holds the tests in which everything is real: the go
// command, larder's own binary, and servers on loopback with a faulty link
// before them.
package integration

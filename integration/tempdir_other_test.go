//go:build !linux

package integration

// inMemory does nothing: there is no folder in memory that every machine has.
func inMemory() (remove func()) { return func() {} }

// Package harness has what integration's tests and the fault campaign both need: the
// environment in which go commands run, tiers that begin with the standard library, and
// looks at what larder has left: its counts, its files, its objects and its processes.
package harness

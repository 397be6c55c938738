// Package cli is the program: its commands, its configuration, and the one
// place where the parts are put together. Configuration comes from one table
// (options.go), from which the flags, the variables, the help and the README's
// table are made.
package cli

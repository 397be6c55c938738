// Package cli is the program: its commands and its configuration. It is the one
// package that puts the others together.
//
// The configuration comes from one table, in options.go: the flags, the variables,
// the help and the README's table are made from it. It becomes settings in two
// steps; see settings.go.
package cli

// Package localdisk is the local tier: cache entries in a directory, in the
// go command's own cache format. An existing GOCACHE serves as such a
// directory, such a directory serves as a GOCACHE, and go commands may use it
// at the same time as any number of helpers.
//
// # Files
//
//	<dir>/<xx>/<action id>-a   an entry: which body an action put, and when
//	<dir>/<xx>/<output id>-d   a body, named by its SHA-256
//	<dir>/<xx>/<16 hex>.tmp    a file being written or removed
//	<dir>/larder/trim.txt      Unix seconds of the last claimed trim
//
// IDs are lower-case hexadecimal, and xx is an ID's first byte. An action
// file is one line of 175 bytes:
//
//	v1 <action id> <output id> <size> <time>\n
//
// with size (bytes) and time (Unix nanoseconds) in decimal, padded with spaces
// on the left to 20 columns.
//
// The format is Go's to define (cmd/go/internal/cache); of the files above only
// the last two are larder's own, and Go's readers, its trimming and its
// `go clean -cache` leave those alone or remove them without harm. Where Go
// keeps a linked executable, <output id>-d is a directory. Helpers are never
// asked for executables, so here that is a miss.
//
// # Reading and writing
//
// Everything is written under a temporary name in its own directory and
// renamed, the body before the action file, so that what has a name is whole.
// Go itself writes in place; what it has not finished is malformed or has the
// wrong size, and is a miss.
//
// A file's modification time says when it was last used, to the hour: use
// touches only what was not touched for an hour. Trim relies on it.
//
// Nothing here lists a directory except Trim, Clean and Usage. The cost of Get
// and Put does not depend on the number of entries.
package localdisk

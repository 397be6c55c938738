// Package localdisk is the local tier: it stores cache entries in a directory, in
// the go command's own cache format. So an existing GOCACHE can be the local tier,
// and the local tier can be a GOCACHE. Go commands and any number of helpers may
// use it at the same time.
//
// # Files
//
//	<dir>/<xx>/<action id>-a   an entry: which body an action put, and when
//	<dir>/<xx>/<output id>-d   a body, named by its SHA-256
//	<dir>/<xx>/<16 hex>.tmp    a file being written or removed
//	<dir>/larder/trim.txt      Unix seconds of the last claimed trim
//
// IDs are lower-case hexadecimal, and xx is an ID's first byte. An action file is
// one line of 175 bytes:
//
//	v1 <action id> <output id> <size> <time>\n
//
// The size is in bytes, the time in Unix nanoseconds. Both are decimal, padded with
// spaces on the left to 20 columns.
//
// The go command defines the format (cmd/go/internal/cache). Only the last two of
// the files above are larder's own. The go command does not read or trim them; `go
// clean -cache` may remove them without harm. If the go command has cached a linked
// executable, <output id>-d is a directory. It never asks a helper for an executable,
// so for this package such an entry is a miss.
//
// # Reading and writing
//
// This package writes each file under a temporary name in the same directory and
// then renames it, the body before the action file. So every file that has its
// final name is whole. The go command writes files in place. A file that it has not
// finished is malformed or has the wrong size, and is a miss.
//
// A file's modification time says when it was last used, up to an hour too early: a
// use renews it only if it is older than an hour. Trim relies on it.
//
// Only Trim, Clean and UsedSince list directories. The cost of Get and Put does not
// depend on the number of entries.
package localdisk

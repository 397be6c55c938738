// Package localdisk is the local tier: cache entries in a directory, in the go
// command's own cache format. A directory that has served as a GOCACHE can serve as a
// local tier, and the other way round. Go commands and any number of helpers may use it
// at the same time.
//
// # Files
//
//	<dir>/<xx>/<action id>-a   an entry: which body an action put, and when
//	<dir>/<xx>/<output id>-d   a body, named by its SHA-256
//	<dir>/<xx>/<16 hex>.tmp    a file being written or removed
//	<dir>/larder/trim.txt      Unix seconds of the last claimed trim
//
// IDs are lower-case hexadecimal, and xx is an ID's first byte. An action file is one
// line of 175 bytes:
//
//	v1 <action id> <output id> <size> <time>\n
//
// The size (in bytes) and the time (Unix nanoseconds) are decimal, and padded with
// spaces on the left to 20 columns.
//
// Go defines this format (cmd/go/internal/cache). Only the last two of the files above
// are larder's own. Go's readers ignore these two. Go's trimming and go clean -cache
// ignore or remove them, which does no harm. Where Go keeps a linked executable,
// <output id>-d is a directory. The go command never asks a helper for an executable,
// so Get takes such a directory for a miss.
//
// A user's own folder, <parent>/larder-<uid>, lies where others can write. It may be a
// cache directory or hold several; see [OpenOwn].
//
// # Reading and writing
//
// Each file is written under a temporary name in the folder where it belongs, and then
// renamed: the body first, then the action file. So a file that has its final name is
// whole. Go itself writes under the final name. A file that Go has not finished is
// malformed or has the wrong size, so Get takes it for a miss.
//
// A file's modification time says when the file was last used, to the hour: a use sets
// it only if it is at least an hour old. Trim relies on it.
//
// Only Trim, Clean and UsedSince list directories. The cost of Get and Put does not
// depend on the number of entries.
package localdisk

// Package protocol is the wire between the go command and a GOCACHEPROG
// helper. It serves a Handler and knows nothing of what stands behind it.
//
//	conn, err := protocol.Start(os.Stdin, os.Stdout) // before all else
//	...
//	err = conn.Serve(ctx, handler)
//
// # The wire
//
// The helper speaks first: {"ID":0,"KnownCommands":["get","put","close"]} and
// a line end. Until then the go command waits, for ever if need be.
//
// The go command then sends requests, one JSON object a line, with an empty
// line after each:
//
//	{"ID":1,"Command":"get","ActionID":"<32 bytes>"}
//	{"ID":2,"Command":"put","ActionID":"<32 bytes>","OutputID":"<32 bytes>","BodySize":3}
//	"YWJj"
//	{"ID":3,"Command":"close"}
//
// Bytes are in standard base64. A request with a BodySize above 0 is followed
// by a body: a string of base64 on a line of its own, of any length. Answers
// are JSON lines in any order, found by the ID of their request:
//
//	{"ID":1,"Miss":true}
//	{"ID":1,"OutputID":"<32 bytes>","Size":3,"Time":"2026-11-22T10:00:00.5Z","DiskPath":"/abs/path"}
//	{"ID":2,"DiskPath":"/abs/path"}
//	{"ID":2,"Err":"why not"}
//	{"ID":3}
//
// # What ends a session
//
// Close does, and so does the end of input, which says the same: go list never
// sends close. Input that ends within a request or a body is no error either,
// since the go command that was writing it is gone. After close the go command
// waits until stdout is closed, in all processes that have it, but not for the
// helper's exit.
//
// Serve gives up, with an error, where it cannot know what comes next or whom
// an answer would reach: at a line that is no request in JSON, is longer than
// 1 MiB, or has an ID that is not positive or waits for an answer already; and
// where a body was announced and something else comes. For the go command
// this is the end of the build, but it sends nothing of the kind.
//
// On Unix the program must ignore SIGPIPE: otherwise writing to a go command
// that is gone kills the helper before it has tidied up.
//
// # What does not
//
// A request that can be understood but not served is answered with Err:
// an unknown command, an ID that has not 32 bytes, a negative BodySize, a body
// that is not what was announced. For the latter, a body is read to its end
// whatever the handler did with it. An Entry that the go command would take
// wrongly (no path, no time, a path that JSON cannot carry) is answered as a
// miss: without a time, for one, it would count as made just now.
//
// An answer under an ID that the go command does not wait for ends the build.
// It therefore matters that the go command may give up a put on its own: when
// its source fails, or has changed its size since it was hashed, it forgets
// the ID, leaves the string open, and writes its next request behind what it
// had written of the body, in whole groups of base64, padded or not. As base64
// has no brace, a brace within a body is where the next request begins, and
// the put has no answer. By the same measure a body knows no escapes and no
// line breaks, which JSON and the base64 package would otherwise let pass.
package protocol

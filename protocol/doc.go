// Package protocol implements the protocol between the go command and a GOCACHEPROG
// helper. It passes requests to a [Handler] and does not know how that stores entries.
//
//	conn, err := protocol.Start(os.Stdin, os.Stdout) // before everything else
//	...
//	err = conn.Serve(ctx, handler)
//
// # The wire
//
// The helper speaks first. It sends the handshake, on a line of its own:
//
//	{"ID":0,"KnownCommands":["get","put","close"]}
//
// The go command waits for the handshake without a time limit. Then it sends
// requests. Each is one line with a JSON object, followed by an empty line:
//
//	{"ID":1,"Command":"get","ActionID":"<32 bytes>"}
//	{"ID":2,"Command":"put","ActionID":"<32 bytes>","OutputID":"<32 bytes>","BodySize":3}
//	"YWJj"
//	{"ID":3,"Command":"close"}
//
// Bytes are in standard base64. After a request whose BodySize is greater than 0
// comes the body, of any length: a string of base64 on a line of its own. Answers are
// JSON lines in any order. An answer has the ID of its request:
//
//	{"ID":1,"Miss":true}
//	{"ID":1,"OutputID":"<32 bytes>","Size":3,"Time":"2026-11-22T10:00:00.5Z","DiskPath":"/abs/path"}
//	{"ID":2,"DiskPath":"/abs/path"}
//	{"ID":2,"Err":"why not"}
//	{"ID":3}
//
// # What ends a session
//
// A close request ends a session. The end of input does too, and means the same: go
// list never sends close. Input that ends within a request or a body is no error
// either, because the go command that was writing it is gone. After close the go
// command waits until every process that has the helper's stdout open has closed it. It
// does not wait for the helper to exit.
//
// Serve ends the session with an error if it cannot know what comes next in the input,
// or which request an answer would reach. That is so if
//
//   - a line is not a request in JSON, or is longer than 1 MiB,
//   - an ID is not positive, or belongs to a request that still waits for its
//     answer, or
//   - something other than a body comes where a body was announced.
//
// The go command sends none of these. If it did, its build would fail.
//
// On Unix the program must ignore SIGPIPE. Otherwise an answer to a go command that is
// gone would kill the helper before it has tidied up.
//
// # What does not
//
// A request that can be understood but not served is answered with Err: an unknown
// command, an ID that has not 32 bytes, a negative BodySize, or a body that is not what
// was announced. To find that out, Serve reads every body to its end, whatever the
// handler did with it. An [Entry] that the go command would misunderstand (it has no
// path, no time, or a path that JSON cannot carry) is answered as a miss. Without a
// time, for example, the go command would take the entry for new.
//
// An answer with an ID for which the go command does not wait ends the build. So Serve
// must notice when the go command gives up a put. The go command does that if it fails
// to read the body, or if the body's size has changed since it was hashed. It then
// forgets the ID, does not close the string of base64, and writes its next request
// directly behind the part of the body that it has already written. That part consists
// of whole groups of base64, with or without padding. Base64 has no brace, so a brace
// within a body is the beginning of the next request, and Serve does not answer the
// put. For the same reason a body must have no escapes and no line breaks, although
// JSON and the package base64 would allow them.
package protocol

package pack

import (
	"bytes"
	"strconv"
)

// MaxHead is the size in bytes of the longest head. The go command looks for the build
// ID of an archive in no more bytes than this.
const MaxHead = 1 << 10

// headLines has the beginnings of the lines of a head, which the go command reads in
// its package cmd/internal/buildid.
var headLines = [][]byte{
	[]byte("!<arch>\n"),
	[]byte("__.PKGDEF "),
	[]byte("go object "),
	[]byte(`build id "`),
}

// Head returns the head of an archive: the part that the go command reads on a hit, from
// the first byte to the end of the line with the build ID. body is the archive or its
// beginning. Head returns nil if body does not begin like an archive of Go's compiler.
// The head shares memory with body.
func Head(body []byte) []byte {
	body = body[:min(len(body), MaxHead)]
	var size int
	var line []byte
	for _, begin := range headLines {
		length := bytes.IndexByte(body[size:], '\n') + 1
		line = body[size : size+length]
		if !bytes.HasPrefix(line, begin) {
			return nil
		}
		size += length
	}
	if _, err := strconv.Unquote(string(bytes.TrimSuffix(line[len("build id "):], []byte("\n")))); err != nil {
		return nil
	}
	return body[:size:size]
}

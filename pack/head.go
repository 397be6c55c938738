package pack

import (
	"bytes"
	"strconv"
)

// MaxHead is the size in bytes of the longest head: the go command looks no
// further for the build ID of an archive.
const MaxHead = 1 << 10

// headLines is how the lines of a head begin. The go command reads them as
// cmd/internal/buildid does.
var headLines = [][]byte{
	[]byte("!<arch>\n"),
	[]byte("__.PKGDEF "),
	[]byte("go object "),
	[]byte(`build id "`),
}

// Head returns the head of the archive that body begins with: what the go
// command reads of it on a hit, from its first byte to the end of the line with
// the build ID. It is nil where body is not the beginning of an archive that Go's
// compiler wrote. The head shares memory with body.
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

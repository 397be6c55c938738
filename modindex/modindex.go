package modindex

import (
	"bytes"
	"encoding/binary"
)

// Kind says which kind of index a body is.
type Kind uint8

const (
	None      Kind = iota // the body is no index
	OfModule              // of a whole module in the module cache
	OfPackage             // of a package, or of what this version does not know
)

const (
	version   = "go index v2"
	stringsAt = 12 // offset of the offset of the strings
	countedAt = 16 // offset of the number of packages
)

// BeginSize is the size in bytes of the beginning of a body that tells its kind.
const BeginSize = 20

// KindOf returns the kind of the body that begins with begin. begin has BeginSize bytes at
// least, or is the whole body. An index of a module that has one package looks like that of
// a package, and counts as one; [IsOfModule] tells them apart.
func KindOf(begin []byte) Kind {
	switch {
	case !bytes.HasPrefix(begin, []byte("go index v")):
		return None
	case len(begin) < BeginSize || !bytes.HasPrefix(begin, []byte(version+"\n")) || number(begin, countedAt) < 2:
		return OfPackage
	}
	return OfModule
}

// number returns the number at offset, which is in b.
func number(b []byte, offset int) int { return int(binary.LittleEndian.Uint32(b[offset:])) }

// stringsOf returns the strings of an index. It returns none from where they are damaged on.
func stringsOf(index []byte) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		if len(index) < BeginSize {
			return
		}
		rest := index[min(number(index, stringsAt), len(index)):]
		for {
			length, n := binary.Uvarint(rest)
			if n <= 0 || length > uint64(len(rest)-n) || !yield(string(rest[n:n+int(length)])) {
				return
			}
			rest = rest[n+int(length):]
		}
	}
}

// Package protobuf reads and writes the wire format of protocol buffers:
// https://protobuf.dev/programming-guides/encoding. Messages are Go types that do so by the
// numbers of their fields, which never change.
//
// The packages of google.golang.org/protobuf, encoding/protowire among them, read the program's
// own file when they are initialized, and every go command would wait for that.
package protobuf

// Marshaler is a message that can be sent.
type Marshaler interface {
	// Marshal returns the message in the wire format.
	Marshal() []byte
}

// Unmarshaler is a message that can be received.
type Unmarshaler interface {
	// Unmarshal sets the message to what data says. Fields that the message does not know are
	// no error. The message may keep parts of data, which nobody changes afterwards.
	Unmarshal(data []byte) error
}

// Number is that of a field in its message.
type Number uint64

// maxNumber is the largest number that parsers take. The language allows fewer.
const maxNumber = 1<<31 - 1

// The types of fields, as they stand behind their numbers.
const (
	varintType     = 0
	fixed64Type    = 1
	bytesType      = 2
	beginGroupType = 3
	endGroupType   = 4
	fixed32Type    = 5
)

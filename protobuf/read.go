package protobuf

import (
	"encoding/binary"
	"errors"
)

// Field is one field of a message, as it has come. Its methods return zero values if the field
// is of another type.
type Field struct {
	Number Number
	Raw    []byte // all of it, a part of the message
	kind   uint64
	varint uint64
	bytes  []byte
}

// Int returns an integer or an enum.
func (f Field) Int() int64 { return int64(f.varint) }

// Bool returns a boolean.
func (f Field) Bool() bool { return f.varint != 0 }

// Bytes returns bytes, or a message. They are a part of the message around them.
func (f Field) Bytes() []byte { return f.bytes }

// IsBytes reports whether the field has bytes, a string or a message.
func (f Field) IsBytes() bool { return f.kind == bytesType }

// String returns a string.
func (f Field) String() string { return string(f.bytes) }

// Ints calls add for each number of a list. Such a list comes as one field, or as a field for
// each.
func (f Field) Ints(add func(int64)) error {
	if f.kind == varintType {
		add(f.Int())
		return nil
	}
	for rest := f.bytes; len(rest) > 0; {
		v, n := binary.Uvarint(rest)
		if n <= 0 {
			return errMalformed
		}
		add(int64(v))
		rest = rest[n:]
	}
	return nil
}

var errMalformed = errors.New("malformed message")

// Fields calls each for every field of a message, in order, until it returns an error.
func Fields(message []byte, each func(Field) error) error {
	for len(message) > 0 {
		f, err := first(message, 0)
		if err == nil && f.kind == endGroupType {
			err = errMalformed
		}
		if err == nil {
			err = each(f)
		}
		if err != nil {
			return err
		}
		message = message[len(f.Raw):]
	}
	return nil
}

// Parse returns the message that f is.
func Parse[M any, P interface {
	*M
	Unmarshaler
}](f Field) (M, error) {
	var m M
	return m, P(&m).Unmarshal(f.bytes)
}

// maxDepth is how many groups may be in one another.
const maxDepth = 100

// first returns the first field of message, which is not empty, below depth groups.
func first(message []byte, depth int) (Field, error) {
	tag, n := binary.Uvarint(message)
	f := Field{Number: Number(tag >> 3), kind: tag & 7}
	if n <= 0 || f.Number < 1 || f.Number > maxNumber {
		return f, errMalformed
	}
	rest, size := message[n:], 0 // of the value
	switch f.kind {
	case varintType:
		f.varint, size = binary.Uvarint(rest)
		if size <= 0 {
			return f, errMalformed
		}
	case bytesType:
		length, n := binary.Uvarint(rest)
		if n <= 0 || length > uint64(len(rest)-n) {
			return f, errMalformed
		}
		size = n + int(length)
		f.bytes = rest[n:size]
	case fixed64Type:
		size = 8
	case fixed32Type:
		size = 4
	case beginGroupType:
		var err error
		if size, err = sizeOfGroup(f.Number, rest, depth+1); err != nil {
			return f, err
		}
	case endGroupType:
	default:
		return f, errMalformed
	}
	if size > len(rest) {
		return f, errMalformed
	}
	f.Raw = message[:n+size]
	return f, nil
}

// sizeOfGroup returns how many bytes the fields of a group have, its end among them.
func sizeOfGroup(number Number, fields []byte, depth int) (size int, err error) {
	for depth <= maxDepth && size < len(fields) {
		f, err := first(fields[size:], depth)
		if err != nil {
			return 0, err
		}
		size += len(f.Raw)
		if f.kind == endGroupType {
			if f.Number != number {
				break
			}
			return size, nil
		}
	}
	return 0, errMalformed
}

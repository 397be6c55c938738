package grpc

import (
	"errors"

	"google.golang.org/protobuf/encoding/protowire"
)

// Marshaler is a message that can be sent.
type Marshaler interface {
	// Marshal returns the message in the wire format of protocol buffers.
	Marshal() []byte
}

// Unmarshaler is a message that can be received.
type Unmarshaler interface {
	// Unmarshal sets the message to what data says. Fields that the message does not know are
	// no error. The message may keep parts of data, which nobody changes afterwards.
	Unmarshal(data []byte) error
}

// Number is that of a field.
type Number = protowire.Number

// Field is one field of a message, as it has come. Its methods return zero values if the field
// is of another type.
type Field struct {
	Number Number
	varint uint64
	bytes  []byte
	packed bool // it may be a list of numbers
}

// Int returns an integer or an enum.
func (f Field) Int() int64 { return int64(f.varint) }

// Bool returns a boolean.
func (f Field) Bool() bool { return f.varint != 0 }

// Bytes returns bytes, or a message. They are a part of the data.
func (f Field) Bytes() []byte { return f.bytes }

// String returns a string, which is UTF-8.
func (f Field) String() string { return string(f.bytes) }

// Ints calls add for each number of a list. Such a list comes as one field, or as a field for
// each.
func (f Field) Ints(add func(int64)) error {
	if !f.packed {
		add(int64(f.varint))
		return nil
	}
	for rest := f.bytes; len(rest) > 0; {
		v, n := protowire.ConsumeVarint(rest)
		if n < 0 {
			return errMessage
		}
		add(int64(v))
		rest = rest[n:]
	}
	return nil
}

var errMessage = errors.New("malformed message")

// Fields calls each for every field of data, in order, until it returns an error.
func Fields(data []byte, each func(Field) error) error {
	for len(data) > 0 {
		number, kind, n := protowire.ConsumeTag(data)
		if n < 0 {
			return errMessage
		}
		data = data[n:]
		f := Field{Number: number}
		switch kind {
		case protowire.VarintType:
			f.varint, n = protowire.ConsumeVarint(data)
		case protowire.BytesType:
			f.bytes, n = protowire.ConsumeBytes(data)
			f.packed = true
		default:
			n = protowire.ConsumeFieldValue(number, kind, data)
		}
		if n < 0 {
			return errMessage
		}
		data = data[n:]
		if kind == protowire.VarintType || kind == protowire.BytesType {
			if err := each(f); err != nil {
				return err
			}
		}
	}
	return nil
}

// Parse sets m to what f, a message in another one, says.
func Parse[M any, P interface {
	*M
	Unmarshaler
}](f Field) (M, error) {
	var m M
	return m, P(&m).Unmarshal(f.bytes)
}

// AppendInt appends a field with an integer, an enum or a boolean as 0 or 1. It leaves out 0.
func AppendInt(b []byte, number Number, v int64) []byte {
	if v == 0 {
		return b
	}
	b = protowire.AppendTag(b, number, protowire.VarintType)
	return protowire.AppendVarint(b, uint64(v))
}

// AppendBool appends a field with a boolean. It leaves out false.
func AppendBool(b []byte, number Number, v bool) []byte {
	return AppendInt(b, number, int64(protowire.EncodeBool(v)))
}

// AppendString appends a field with a string. It leaves out "".
func AppendString(b []byte, number Number, v string) []byte {
	if v == "" {
		return b
	}
	b = protowire.AppendTag(b, number, protowire.BytesType)
	return protowire.AppendString(b, v)
}

// AppendBytes appends a field with bytes. It leaves out none.
func AppendBytes(b []byte, number Number, v []byte) []byte {
	if len(v) == 0 {
		return b
	}
	b = protowire.AppendTag(b, number, protowire.BytesType)
	return protowire.AppendBytes(b, v)
}

// AppendInts appends a field with a list of numbers or enums.
func AppendInts(b []byte, number Number, list ...int64) []byte {
	var packed []byte
	for _, v := range list {
		packed = protowire.AppendVarint(packed, uint64(v))
	}
	return AppendBytes(b, number, packed)
}

// AppendMessage appends a field with a message, also with an empty one.
func AppendMessage(b []byte, number Number, m Marshaler) []byte {
	b = protowire.AppendTag(b, number, protowire.BytesType)
	return protowire.AppendBytes(b, m.Marshal())
}

package protobuf

import "encoding/binary"

func appendTag(b []byte, number Number, kind uint64) []byte {
	return binary.AppendUvarint(b, uint64(number)<<3|kind)
}

// AppendVarint appends a field with a number, also with 0.
func AppendVarint(b []byte, number Number, v uint64) []byte {
	return binary.AppendUvarint(appendTag(b, number, varintType), v)
}

// AppendInt appends a field with an integer or an enum. It leaves out 0.
func AppendInt(b []byte, number Number, v int64) []byte {
	if v == 0 {
		return b
	}
	return AppendVarint(b, number, uint64(v))
}

// AppendBool appends a field with a boolean. It leaves out false.
func AppendBool(b []byte, number Number, v bool) []byte {
	if !v {
		return b
	}
	return AppendVarint(b, number, 1)
}

// AppendFixed64 appends a field with a number of eight bytes, also with 0.
func AppendFixed64(b []byte, number Number, v uint64) []byte {
	return binary.LittleEndian.AppendUint64(appendTag(b, number, fixed64Type), v)
}

// AppendFixed32 appends a field with a number of four bytes, also with 0.
func AppendFixed32(b []byte, number Number, v uint32) []byte {
	return binary.LittleEndian.AppendUint32(appendTag(b, number, fixed32Type), v)
}

// AppendData appends a field with a string, bytes or an encoded message, also with an empty one.
func AppendData[T string | []byte](b []byte, number Number, data T) []byte {
	b = binary.AppendUvarint(appendTag(b, number, bytesType), uint64(len(data)))
	return append(b, data...)
}

// AppendString appends a field with a string. It leaves out "".
func AppendString(b []byte, number Number, v string) []byte {
	if v == "" {
		return b
	}
	return AppendData(b, number, v)
}

// AppendBytes appends a field with bytes. It leaves out none.
func AppendBytes(b []byte, number Number, v []byte) []byte {
	if len(v) == 0 {
		return b
	}
	return AppendData(b, number, v)
}

// AppendInts appends a field with a list of numbers or enums. It leaves out an empty one.
func AppendInts(b []byte, number Number, list ...int64) []byte {
	var packed []byte
	for _, v := range list {
		packed = binary.AppendUvarint(packed, uint64(v))
	}
	return AppendBytes(b, number, packed)
}

// AppendMessage appends a field with a message, also with an empty one.
func AppendMessage(b []byte, number Number, m Marshaler) []byte {
	return AppendData(b, number, m.Marshal())
}

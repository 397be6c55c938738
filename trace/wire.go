package trace

import "encoding/binary"

// This file is as much of the binary format of protocol buffers as OTLP needs. The packages of
// google.golang.org/protobuf read the program's own file when they are initialized.

// The types of fields, as they stand in tags.
const (
	varintType  = 0
	fixed64Type = 1
	bytesType   = 2
	fixed32Type = 5
)

func appendTag(b []byte, field, kind uint64) []byte { return binary.AppendUvarint(b, field<<3|kind) }

func appendNumber(b []byte, field, n uint64) []byte {
	return binary.AppendUvarint(appendTag(b, field, varintType), n)
}

func appendFixed64(b []byte, field, n uint64) []byte {
	return binary.LittleEndian.AppendUint64(appendTag(b, field, fixed64Type), n)
}

func appendFixed32(b []byte, field uint64, n uint32) []byte {
	return binary.LittleEndian.AppendUint32(appendTag(b, field, fixed32Type), n)
}

// appendBytes appends a text, bytes, or a message.
func appendBytes[T string | []byte](b []byte, field uint64, data T) []byte {
	b = binary.AppendUvarint(appendTag(b, field, bytesType), uint64(len(data)))
	return append(b, data...)
}

// fieldsOf calls visit with the fields of a message that are numbers or bytes. It ends at what is
// malformed.
func fieldsOf(message []byte, visit func(field, number uint64, data []byte)) {
	for len(message) > 0 {
		tag, n := binary.Uvarint(message)
		if n <= 0 {
			return
		}
		message = message[n:]
		field, size := tag>>3, uint64(0) // of what follows
		switch tag & 7 {
		case varintType, bytesType:
			number, n := binary.Uvarint(message)
			if n <= 0 {
				return
			}
			message = message[n:]
			if tag&7 == varintType {
				visit(field, number, nil)
				continue
			}
			size = number
		case fixed64Type:
			size = 8
		case fixed32Type:
			size = 4
		default:
			return
		}
		if size > uint64(len(message)) {
			return
		}
		if tag&7 == bytesType {
			visit(field, 0, message[:size])
		}
		message = message[size:]
	}
}

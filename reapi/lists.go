package reapi

import "github.com/larderbuild/larder/protobuf"

// appendAll appends a field for each message of list.
func appendAll[M protobuf.Marshaler](b []byte, number protobuf.Number, list []M) []byte {
	for _, m := range list {
		b = protobuf.AppendMessage(b, number, m)
	}
	return b
}

// appendParsed appends to list the message that f is.
func appendParsed[M any, P interface {
	*M
	protobuf.Unmarshaler
}](list []M, f protobuf.Field) ([]M, error) {
	m, err := protobuf.Parse[M, P](f)
	return append(list, m), err
}

// appendNumbers appends a field with a list of enums.
func appendNumbers[N ~int64](b []byte, number protobuf.Number, list []N) []byte {
	var numbers []int64
	for _, n := range list {
		numbers = append(numbers, int64(n))
	}
	return protobuf.AppendInts(b, number, numbers...)
}

// appendParsedNumbers appends to list the numbers that f has.
func appendParsedNumbers[N ~int64](list []N, f protobuf.Field) ([]N, error) {
	err := f.Ints(func(n int64) { list = append(list, N(n)) })
	return list, err
}

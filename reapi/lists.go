package reapi

import "github.com/larderbuild/larder/grpc"

// appendAll appends a field for each message of list.
func appendAll[M grpc.Marshaler](b []byte, number grpc.Number, list []M) []byte {
	for _, m := range list {
		b = grpc.AppendMessage(b, number, m)
	}
	return b
}

// appendParsed appends to list the message that f is.
func appendParsed[M any, P interface {
	*M
	grpc.Unmarshaler
}](list []M, f grpc.Field) ([]M, error) {
	m, err := grpc.Parse[M, P](f)
	return append(list, m), err
}

// appendNumbers appends a field with a list of enums.
func appendNumbers[N ~int64](b []byte, number grpc.Number, list []N) []byte {
	var numbers []int64
	for _, n := range list {
		numbers = append(numbers, int64(n))
	}
	return grpc.AppendInts(b, number, numbers...)
}

// appendParsedNumbers appends to list the numbers that f has.
func appendParsedNumbers[N ~int64](list []N, f grpc.Field) ([]N, error) {
	err := f.Ints(func(n int64) { list = append(list, N(n)) })
	return list, err
}

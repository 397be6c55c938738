package protobuf_test

import (
	"bytes"
	"errors"
	"math"
	"slices"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/larderbuild/larder/protobuf"
)

// FuzzFields compares what Fields says of a message with what Google's package says.
func FuzzFields(f *testing.F) {
	f.Add(protobuf.AppendString(protobuf.AppendInt(nil, 1, -1), 2000, "text"))
	f.Add(protobuf.AppendFixed32(protobuf.AppendFixed64(nil, 3, 1), 4, 1))
	f.Add(protowire.AppendGroup(protowire.AppendTag(nil, 5, protowire.StartGroupType), 5, protobuf.AppendBool(nil, 1, true)))
	f.Add([]byte{0x0c})                                                 // the end of no group
	f.Add([]byte{0x0b, 0x14})                                           // that of another one
	f.Add([]byte{0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}) // a number that breaks off
	f.Add([]byte{0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01})
	f.Fuzz(func(t *testing.T, message []byte) {
		rest := message
		err := protobuf.Fields(message, func(f protobuf.Field) error {
			number, kind, n := protowire.ConsumeField(rest)
			if n < 0 {
				t.Fatalf("field %d of %x, where there is none: %v", f.Number, rest, protowire.ParseError(n))
			}
			if int64(number) != int64(f.Number) || !bytes.Equal(f.Raw, rest[:n]) || f.IsBytes() != (kind == protowire.BytesType) {
				t.Fatalf("got %d, %x; want %d, %x", f.Number, f.Raw, number, rest[:n])
			}
			_, _, tag := protowire.ConsumeTag(rest)
			v, _ := protowire.ConsumeVarint(rest[tag:])
			b, _ := protowire.ConsumeBytes(rest[tag:])
			if kind == protowire.VarintType && f.Int() != int64(v) || f.IsBytes() && !bytes.Equal(f.Bytes(), b) {
				t.Fatalf("got %d, %x; want %d, %x", f.Int(), f.Bytes(), v, b)
			}
			rest = rest[n:]
			return nil
		})
		if len(rest) == 0 {
			if err != nil {
				t.Fatal(err)
			}
			return
		}
		if _, _, n := protowire.ConsumeField(rest); err == nil || n > 0 && !isDeep(rest) {
			t.Fatalf("ended before %x: %v", rest, err)
		}
	})
}

// isDeep reports whether a message may begin with more groups in one another than Fields takes.
func isDeep(message []byte) bool { return len(message) > 200 }

func TestDepth(t *testing.T) {
	message := bytes.Repeat([]byte{0x0b}, 1<<20) // groups that have no end
	if err := protobuf.Fields(message, func(protobuf.Field) error { return nil }); err == nil {
		t.Error("no error")
	}
}

// TestAppend compares what is written with what Google's package writes.
func TestAppend(t *testing.T) {
	tag := protowire.AppendTag
	for _, test := range []struct {
		name      string
		got, want []byte
	}{
		{"int", protobuf.AppendInt(nil, 1, math.MinInt64), protowire.AppendVarint(tag(nil, 1, protowire.VarintType), 1<<63)},
		{"no int", protobuf.AppendInt(nil, 1, 0), nil},
		{"varint", protobuf.AppendVarint(nil, 1<<20, 0), protowire.AppendVarint(tag(nil, 1<<20, protowire.VarintType), 0)},
		{"bool", protobuf.AppendBool(nil, 1, true), protowire.AppendVarint(tag(nil, 1, protowire.VarintType), 1)},
		{"no bool", protobuf.AppendBool(nil, 1, false), nil},
		{"fixed64", protobuf.AppendFixed64(nil, 2, 7), protowire.AppendFixed64(tag(nil, 2, protowire.Fixed64Type), 7)},
		{"fixed32", protobuf.AppendFixed32(nil, 2, 7), protowire.AppendFixed32(tag(nil, 2, protowire.Fixed32Type), 7)},
		{"string", protobuf.AppendString(nil, 3, "text"), protowire.AppendString(tag(nil, 3, protowire.BytesType), "text")},
		{"no string", protobuf.AppendString(nil, 3, ""), nil},
		{"empty data", protobuf.AppendData(nil, 3, ""), protowire.AppendString(tag(nil, 3, protowire.BytesType), "")},
		{"bytes", protobuf.AppendBytes(nil, 3, []byte{0}), protowire.AppendBytes(tag(nil, 3, protowire.BytesType), []byte{0})},
		{"ints", protobuf.AppendInts(nil, 4, 1, 300), protowire.AppendBytes(tag(nil, 4, protowire.BytesType), []byte{1, 0xac, 2})},
		{"no ints", protobuf.AppendInts(nil, 4), nil},
	} {
		if !bytes.Equal(test.got, test.want) {
			t.Errorf("%s: got %x, want %x", test.name, test.got, test.want)
		}
	}
}

// TestInts reads a list in both of its forms.
func TestInts(t *testing.T) {
	message := protobuf.AppendInts(protobuf.AppendInt(protobuf.AppendInt(nil, 1, 5), 1, -6), 1, 7, 300)
	var got []int64
	err := protobuf.Fields(message, func(f protobuf.Field) error {
		return f.Ints(func(n int64) { got = append(got, n) })
	})
	if want := []int64{5, -6, 7, 300}; err != nil || !slices.Equal(got, want) {
		t.Errorf("got %d, %v; want %d", got, err, want)
	}
	broken := protobuf.AppendBytes(nil, 1, []byte{0x80})
	if err := protobuf.Fields(broken, func(f protobuf.Field) error { return f.Ints(func(int64) {}) }); err == nil {
		t.Error("no error of a number that breaks off")
	}
}

// TestFieldsEnd: an error of the caller's ends the message.
func TestFieldsEnd(t *testing.T) {
	end, n := errors.New("end"), 0
	err := protobuf.Fields(protobuf.AppendInt(protobuf.AppendInt(nil, 1, 1), 2, 2), func(protobuf.Field) error {
		n++
		return end
	})
	if err != end || n != 1 {
		t.Errorf("%v after %d fields", err, n)
	}
}

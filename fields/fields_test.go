package fields_test

import (
	"encoding/binary"
	"errors"
	"math"
	"testing"

	"github.com/larderbuild/larder/fields"
)

func parse(b []byte) *fields.Parser {
	return fields.NewParser(b, func(reason string) error { return errors.New("wrapped: " + reason) })
}

func TestFields(t *testing.T) {
	b := binary.AppendUvarint(nil, 300)
	b = binary.AppendUvarint(b, math.MaxUint64)
	p := parse(append(b, "rest"...))
	if n := p.Number(300); n != 300 {
		t.Errorf("number %d", n)
	}
	if n := p.Number(math.MaxUint64); uint64(n) != math.MaxUint64 {
		t.Errorf("number %d", n)
	}
	if got := p.Bytes(4); string(got) != "rest" || p.Len() != 0 || p.Err() != nil {
		t.Errorf("%q, %d bytes left, %v", got, p.Len(), p.Err())
	}
}

func TestBadFields(t *testing.T) {
	for name, test := range map[string]struct {
		b     []byte
		limit uint64
	}{
		"nothing":        {nil, 1},
		"cut":            {[]byte{0x80}, 1},
		"over a limit":   {[]byte{2}, 1},
		"in a long form": {[]byte{0x81, 0x00}, 1},
	} {
		p := parse(append(test.b, 0)[:len(test.b)])
		if n := p.Number(test.limit); n != 0 || p.Err() == nil {
			t.Errorf("%s: %d, %v", name, n, p.Err())
		}
	}
	p := parse([]byte("abc"))
	if b := p.Bytes(4); b != nil || p.Err() == nil || p.Len() != 0 {
		t.Errorf("bytes beyond the end: %q, %v", b, p.Err())
	}
	before := p.Err()
	if p.Fail("another"); p.Err() != before || p.Number(9) != 0 || p.Bytes(1) != nil {
		t.Errorf("after an error: %v", p.Err())
	}
}

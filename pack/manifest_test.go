package pack

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
)

func TestRoundTrip(t *testing.T) {
	for _, n := range []int{0, 1, 4, 1000} {
		want := sample(n)
		got, err := Decode(encode(t, want), Place{}, nil)
		if err != nil {
			t.Fatalf("%d entries: %v", n, err)
		}
		if len(got.Entries) != n || n > 0 && !reflect.DeepEqual(got, want) {
			t.Errorf("%d entries came back changed", n)
		}
	}
}

// TestGolden pins the format with a golden file. The output of zstd may change with the
// library, so the test decodes the file and compares only headers with it, without
// the fields that depend on zstd.
func TestGolden(t *testing.T) {
	object := golden(t, "manifest-v5.golden", encode(t, sample(8)))
	got, err := Decode(object, Place{}, nil)
	if err != nil || !reflect.DeepEqual(got, sample(8)) {
		t.Errorf("%+v, %v", got, err)
	}
	again := encode(t, got)
	if !bytes.Equal(again[:18], object[:18]) || !bytes.Equal(again[26:headerSize-4], object[26:headerSize-4]) {
		t.Errorf("the header is now %x", again[:headerSize])
	}
}

func TestScope(t *testing.T) {
	for name, want := range map[string]bool{
		"main": true, "pr-123": true, "branch-Fix_1.2": true, "0": true, strings.Repeat("x", 100): true,
		"": false, ".": false, "..": false, "-x": false, "a/b": false, "a b": false, "ä": false, "a\n": false, strings.Repeat("x", 101): false,
	} {
		if err := CheckScope(name); (err == nil) != want {
			t.Errorf("%q: %v", name, err)
		}
	}
	m := sample(4)
	m.Packs[1].Scope = "../pr-12"
	if _, err := Decode(seal(m.encodePayload()), Place{}, nil); !errors.Is(err, ErrCorrupt) {
		t.Errorf("a manifest that names a pack in a scope that can't be one: %v", err)
	}
}

// FuzzDecode checks that an accepted payload encodes to the same bytes. It works on
// payloads because a fuzzer finds no header with the right digest.
func FuzzDecode(f *testing.F) {
	for _, n := range []int{0, 1, 4, 9} {
		f.Add(sample(n).encodePayload())
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		m, err := Decode(seal(payload), Place{}, nil)
		if err != nil {
			if !errors.Is(err, ErrCorrupt) {
				t.Errorf("error %v is not ErrCorrupt", err)
			}
			return
		}
		if again := m.encodePayload(); !bytes.Equal(again, payload) {
			t.Errorf("%x became %x", payload, again)
		}
		if _, err := Decode(encode(t, m), Place{}, nil); err != nil {
			t.Error(err)
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	for _, n := range []int{10_000, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			object := encode(b, sample(n))
			b.SetBytes(int64(len(object)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Decode(object, Place{}, nil); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkEncode(b *testing.B) {
	for _, n := range []int{10_000, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			m := sample(n)
			b.ReportAllocs()
			for b.Loop() {
				encode(b, m)
			}
		})
	}
}

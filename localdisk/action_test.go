package localdisk

import (
	"bytes"
	"math"
	"os"
	"strings"
	"testing"
	"time"
)

func TestActionFileIsGolden(t *testing.T) {
	golden, err := os.ReadFile("testdata/action.golden")
	if err != nil {
		t.Fatal(err)
	}
	want := numberedEntry(1, []byte("the body"))
	if got := appendAction(nil, want); !bytes.Equal(got, golden) {
		t.Errorf("encoded\n%q, want\n%q", got, golden)
	}
	got, err := parseAction(golden)
	if err != nil {
		t.Fatal(err)
	}
	if !got.Time.Equal(want.Time) {
		t.Errorf("time %v, want %v", got.Time, want.Time)
	}
	got.Time = want.Time
	if got != want {
		t.Errorf("parsed %+v, want %+v", got, want)
	}
}

func TestParseActionRefuses(t *testing.T) {
	golden := string(appendAction(nil, numberedEntry(1, []byte("the body"))))
	replace := func(old, new string) string {
		if len(old) != len(new) || strings.Count(golden, old) != 1 {
			t.Fatalf("cannot replace %q by %q in %q", old, new, golden)
		}
		return strings.Replace(golden, old, new, 1)
	}
	tests := []struct{ name, data string }{
		{"empty", ""},
		{"cut", golden[:100]},
		{"last byte missing", golden[:len(golden)-1]},
		{"one byte too many", golden + "\n"},
		{"zeros", strings.Repeat("\x00", len(golden))},
		{"later version", replace("v1 ", "v2 ")},
		{"upper-case action", strings.ToUpper(golden[:70]) + golden[70:]},
		{"no hexadecimal", golden[:10] + "g" + golden[11:]},
		{"no hexadecimal in output", golden[:100] + "g" + golden[101:]},
		{"no space between IDs", golden[:67] + "0" + golden[68:]},
		{"no newline", golden[:len(golden)-1] + " "},
		{"negative size", replace("  8 ", " -8 ")},
		{"signed size", replace("  8 ", " +8 ")},
		{"size with leading zero", replace("  8 ", " 08 ")},
		{"size aligned left", replace("  8 ", "8   ")},
		{"no size", replace("  8 ", "    ")},
		{"size of nothing but letters", replace("  8 ", "  x ")},
		{"negative time", replace(" 1700000000", "-1700000000")},
		{"time too large", replace(" 1700000000123456789", "99999999999999999999")},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if e, err := parseAction([]byte(test.data)); err == nil {
				t.Errorf("accepted %q as %+v", test.data, e)
			}
		})
	}
}

// FuzzParseAction checks that what is accepted re-encodes to the same bytes.
func FuzzParseAction(f *testing.F) {
	for _, e := range []Entry{
		{Time: time.Unix(0, 0)},
		{Size: math.MaxInt64, Time: time.Unix(0, math.MaxInt64)},
		numberedEntry(1, []byte("the body")),
	} {
		data := appendAction(nil, e)
		f.Add(data)
		f.Add(bytes.ToUpper(data))
		f.Add(bytes.ReplaceAll(data, []byte("  "), []byte(" 0")))
		f.Add(data[:len(data)-1])
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		e, err := parseAction(data)
		if err != nil {
			return
		}
		if err := checkRange(e); err != nil {
			t.Errorf("accepted %q: %v", data, err)
		}
		if again := appendAction(nil, e); !bytes.Equal(again, data) {
			t.Errorf("accepted %q, which re-encodes to %q", data, again)
		}
	})
}

package cache

import (
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"
)

// TestShortName: a name that fits a key stays as it is. Of others, the beginning does,
// and two of them never become one.
func TestShortName(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", MaxName)
	odd := strings.Repeat("テ", 60)
	for name, want := range map[string]string{
		"":               "",
		"linux-amd64 CI": "linux-amd64 CI",
		"example.com/m":  "example.com/m",
		"\xff":           "\xff",
		long:             long,
		long + "a":       long[:MaxName-17] + "-f2e74f0adb0d3915",
		long + "b":       long[:MaxName-17] + "-8f58687a694d021c",
		odd:              strings.Repeat("テ", 14) + "-e936d08a41a1687e",
		long[:100] + odd: long[:100] + strings.Repeat("テ", 8) + "-ca639d6e0d16e2c7",
	} {
		got := ShortName(name)
		if got != want {
			t.Errorf("%q became %q, want %q", name, got, want)
		}
		if got != name && !utf8.ValidString(got) {
			t.Errorf("%q became %q, which is cut in a letter", name, got)
		}
		// A directory escapes what the key has escaped, and takes 255 bytes.
		if file := url.QueryEscape(url.QueryEscape(got)); len(file) > 255 {
			t.Errorf("%q becomes a file name of %d bytes", name, len(file))
		}
	}
}

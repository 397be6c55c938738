package gocmd_test

import (
	"strings"
	"testing"

	"github.com/larderbuild/larder/gocmd"
)

// quotings have characters that every Unix file system allows.
var quotings = []struct {
	name, text string
	want       string // "": there is no quoting
}{
	{"plain", "/usr/bin/larder", "/usr/bin/larder"},
	{"a space", "/a b/larder", "'/a b/larder'"},
	{"a tab", "/a\tb", "'/a\tb'"},
	{"a line break", "/a\nb", "'/a\nb'"},
	{"a carriage return", "/a\rb", "'/a\rb'"},
	{"other blanks are no spaces", "/a\vb\u00a0c\u2003d", "/a\vb\u00a0c\u2003d"},
	{"a backslash", `/a\b\"c`, `/a\b\"c`},
	{"a backslash and a space", `/a\ b`, `'/a\ b'`},
	{"a dollar and a percent sign", "/$HOME/%d", "/$HOME/%d"},
	{"a single quote", "/it's", "/it's"},
	{"a single quote and a space", "/it's a", `"/it's a"`},
	{"a double quote", `/6"`, `/6"`},
	{"a double quote and a space", `/6" x`, `'/6" x'`},
	{"both quotes", `/it's 6"`, ""},
	{"both quotes, without a space", `/it's6"`, `/it's6"`},
	{"a quote first", `"a"`, `'"a"'`},
	{"another quote first", `'a'`, `"'a'"`},
	{"both quotes, one of them first", `"it's`, ""},
	{"nothing", "", "''"},
}

func TestQuoteField(t *testing.T) {
	t.Parallel()
	for _, test := range quotings {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got, err := gocmd.QuoteField(test.text)
			if got != test.want || (err != nil) != (test.want == "") {
				t.Errorf("%s, %v, want %s", got, err, test.want)
			}
			if err != nil && !strings.Contains(err.Error(), "both kinds of quotes") {
				t.Errorf("error %q", err)
			}
		})
	}
}

package cache

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// A roster has room for any names, and passes over what is none.
func TestRosterText(t *testing.T) {
	t.Parallel()
	many := roster{}
	for i := range 40 {
		many.beginWith(fmt.Sprint(i))
	}
	if len(many.profiles) != maxRoster || many.profiles[0] != "39" {
		t.Errorf("of 40 profiles: %q", many.profiles)
	}
	many.beginWith("30")
	if many.profiles[0] != "30" || many.profiles[1] != "39" || len(many.profiles) != maxRoster {
		t.Errorf("published again: %q", many.profiles)
	}
	for _, names := range [][]string{nil, {"linux-amd64"}, {"a b", "line\nbreak", "\xff", "@profiles", "テ"}} {
		if got := parseRoster(string(roster{profiles: names}.text())); !slices.Equal(got, names) {
			t.Errorf("%q became %q", names, got)
		}
	}
	for text, want := range map[string][]string{
		"":                                    nil,
		"a\n\na\nb":                           {"a", "b"},
		"%zz\na\n" + strings.Repeat("x", 1e4): {"a"},
		strings.Repeat("\n", 1e4) + "a":       {"a"},
		"..%2F..\n":                           {"../.."},
	} {
		if got := parseRoster(text); !slices.Equal(got, want) {
			t.Errorf("%.40q is read as %q, want %q", text, got, want)
		}
	}
}

package gocmd

import (
	"fmt"
	"go/version"
	"slices"
	"strings"
)

// HeadsOnly returns nil if the command is known to read no more than the heads of
// archives that it gets as hits. That holds only if the helper answers nothing but hits
// until all archives that it has given out are whole. Otherwise the error says, for
// people, what is at fault and why.
func (c Command) HeadsOnly() error {
	l, err := c.parse()
	if err != nil {
		return err
	}
	v := l.row()
	switch {
	case !version.IsValid(c.Version) || strings.Contains(c.Version, "-"):
		return fmt.Errorf("go version %q is no release", c.Version)
	case version.Compare(version.Lang(c.Version), newest) > 0:
		return fmt.Errorf("%s is not known yet, %s is the newest", c.Version, newest)
	case version.Compare(c.Version, v.since) < 0:
		return fmt.Errorf("go %s of %s: known since %s, which %s", v.name, c.Version, v.since, v.why)
	}
	return nil
}

// row returns the row of the table of verbs for l.
func (l line) row() verbRow {
	verbs := knownVerbs()
	i := slices.IndexFunc(verbs, func(v verbRow) bool {
		name, value, _ := strings.Cut(v.with, "=")
		return v.verb == l.verb && (v.with == "" || l.value(name) == value)
	})
	return verbs[i]
}

func lookupVerb(name string) (verbs, error) {
	for _, v := range knownVerbs() {
		switch {
		case v.name != name:
		case v.verb == none:
			return none, fmt.Errorf("go %s: %s", name, v.why)
		default:
			return v.verb, nil
		}
	}
	return none, fmt.Errorf("go %s: not known", name)
}

// lookupFlag returns the row of the table for a flag, and the name of the flag there:
// -test.run is -run. The flag is as it was typed, without dashes.
func lookupFlag(typed string, verb verbs) (flag, string, error) {
	name, passed := strings.CutPrefix(typed, "test.")
	why := "not known here"
	for _, f := range knownFlags() {
		switch {
		case !slices.Contains(strings.Fields(f.names), name):
		case f.harmless&verb != 0 && (f.passed || !passed):
			return f, name, nil
		case f.harmless == none:
			why = f.why
		}
	}
	return flag{}, "", fmt.Errorf("-%s: %s", typed, why)
}

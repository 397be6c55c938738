package gocmd

import (
	"fmt"
	"go/version"
	"slices"
	"strings"
)

// HeadsOnly returns nil if the command is known to read no more of archives that
// it is given as hits than their heads, provided that every other answer to a
// get waits until all archives given out before are whole. Otherwise the error
// names what is at fault, and why, for people to read.
func (c Command) HeadsOnly() error {
	l, err := c.parse()
	if err != nil {
		return err
	}
	v := l.line()
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

// line returns the table's line for l.
func (l line) line() verb {
	verbs := knownVerbs()
	i := slices.IndexFunc(verbs, func(v verb) bool {
		name, value, _ := strings.Cut(v.with, "=")
		return v.is == l.verb && (v.with == "" || l.value(name) == value)
	})
	return verbs[i]
}

func lookupVerb(name string) (verbs, error) {
	for _, v := range knownVerbs() {
		switch {
		case v.name != name:
		case v.is == nowhere:
			return nowhere, fmt.Errorf("go %s: %s", name, v.why)
		default:
			return v.is, nil
		}
	}
	return nowhere, fmt.Errorf("go %s: not known", name)
}

// lookupFlag finds the table's line for a flag as it was typed, without dashes,
// and its name there, for -test.run is -run.
func lookupFlag(typed string, verb verbs) (flag, string, error) {
	name, passed := strings.CutPrefix(typed, "test.")
	why := "not known here"
	for _, f := range knownFlags() {
		switch {
		case !slices.Contains(strings.Fields(f.names), name):
		case f.of&verb != 0 && (f.passed || !passed):
			return f, name, nil
		case f.of == nowhere:
			why = f.why
		}
	}
	return flag{}, "", fmt.Errorf("-%s: %s", typed, why)
}

package gocmd

import (
	"fmt"
	"go/version"
	"slices"
	"strings"
)

// HeadsOnly returns nil if the command is known to read only the heads of the
// archives that it gets as hits. This assumes that every other answer to a get waits
// until all archives that were given out are whole. Otherwise the error says, for
// people to read, which part of the command prevents it, and why.
func (c Command) HeadsOnly() error {
	l, err := c.parse()
	if err != nil {
		return err
	}
	v := l.knownVerb()
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

// knownVerb returns the row of the table of verbs for l.
func (l commandLine) knownVerb() knownVerb {
	known := knownVerbs()
	i := slices.IndexFunc(known, func(v knownVerb) bool {
		name, value, _ := strings.Cut(v.with, "=")
		return v.verb == l.verb && (v.with == "" || l.value(name) == value)
	})
	return known[i]
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

// lookupFlag returns the row of the table of flags for typed, a flag as it was typed
// but without dashes, and the flag's name in the table: test.run is run there.
func lookupFlag(typed string, verb verbs) (knownFlag, string, error) {
	name, passed := strings.CutPrefix(typed, "test.")
	why := "not known here"
	for _, f := range knownFlags() {
		switch {
		case !slices.Contains(strings.Fields(f.names), name):
		case f.verbs&verb != 0 && (f.passed || !passed):
			return f, name, nil
		case f.verbs == none:
			why = f.why
		}
	}
	return knownFlag{}, "", fmt.Errorf("-%s: %s", typed, why)
}

package gocmd

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// commandLine is a command line as the go command understands it. All versions in
// the tables understand it in the same way.
type commandLine struct {
	verb     verbs
	settings []setting // those of GOFLAGS first, because the last one counts
	packages []string
}

// setting is a flag of a command line, with its value.
type setting struct {
	knownFlag
	name      string // without dashes
	value     string // "true" if none was given
	inherited bool   // from GOFLAGS
}

func (s setting) String() string { return "-" + s.name + "=" + s.value }

// value returns the last value of the flag with that name, or "".
func (l commandLine) value(name string) string {
	for _, s := range slices.Backward(l.settings) {
		if s.name == name {
			return s.value
		}
	}
	return ""
}

// parse reads the command line. HeadsOnly returns its errors as they are.
func (c Command) parse() (commandLine, error) {
	args := withoutChdir(c.Args)
	if len(args) == 0 {
		return commandLine{}, errors.New("go without a verb")
	}
	verb, err := lookupVerb(args[0])
	if err != nil {
		return commandLine{}, err
	}
	l := commandLine{verb: verb}
	if err := l.inherit(c.Flags); err != nil {
		return commandLine{}, fmt.Errorf("GOFLAGS: %w", err)
	}
	if err := l.read(args[1:]); err != nil {
		return commandLine{}, fmt.Errorf("go %s %w", args[0], err)
	}
	return l, nil
}

// withoutChdir returns args without -C, which must be the first flag, before or after
// the verb. The go command removes it before it reads anything else.
func withoutChdir(args []string) []string {
	at := 0
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		at = 1
	}
	if at >= len(args) {
		return args
	}
	name, _, joined := strings.Cut(args[at], "=")
	switch {
	case name != "-C" && name != "--C":
		return args
	case joined:
		return slices.Concat(args[:at], args[at+1:])
	case at+1 < len(args):
		return slices.Concat(args[:at], args[at+2:])
	}
	return args // -C without a value, which the go command refuses
}

// inherit reads GOFLAGS, in which the value of a flag follows "=". The go command
// ignores flags that its verb does not have, and allows quotes around a whole flag.
// For inherit both are errors.
func (l *commandLine) inherit(goflags string) error {
	if strings.ContainsAny(goflags, `"'`) {
		return errors.New("quotes are not read")
	}
	for _, arg := range strings.FieldsFunc(goflags, func(r rune) bool { return strings.ContainsRune(" \t\r\n", r) }) {
		if !isFlag(arg) {
			return fmt.Errorf("%q is not a flag", arg)
		}
		if _, err := l.set(arg, nil, true); err != nil {
			return err
		}
	}
	return nil
}

// read reads the arguments after the verb. Flags of build and vet end at the first
// argument that is no flag. Flags of test may also come after the packages. Then the
// next argument that is no flag, and all arguments after it, are for the test binary.
func (l *commandLine) read(args []string) error {
	const (
		beforePackages = iota
		inPackages
		afterPackages
	)
	position := beforePackages
	for len(args) > 0 {
		arg := args[0]
		switch {
		case l.verb != test && arg == "--":
			l.packages = args[1:]
			return nil
		case l.verb != test && !isFlag(arg):
			l.packages = args
			return nil
		case l.verb == test && (arg == "--" || arg == "-args" || arg == "--args"):
			return nil
		case !isFlag(arg) && position == afterPackages:
			return nil
		case !isFlag(arg):
			l.packages = append(l.packages, arg)
			args, position = args[1:], inPackages
			continue
		case position == inPackages:
			position = afterPackages
		}
		rest, err := l.set(arg, args[1:], false)
		if err != nil {
			return err
		}
		args = rest
	}
	return nil
}

// set adds the flag arg to the settings. If the flag's value is the next argument, set
// takes it from rest. It returns the remaining arguments.
func (l *commandLine) set(arg string, rest []string, inherited bool) ([]string, error) {
	typed, value, joined := strings.Cut(strings.TrimPrefix(arg[1:], "-"), "=")
	f, name, err := lookupFlag(typed, l.verb)
	if err != nil {
		return nil, err
	}
	switch {
	case joined:
	case !f.valued:
		value = "true"
	case len(rest) == 0:
		return nil, fmt.Errorf("-%s has no value", name)
	default:
		value, rest = rest[0], rest[1:]
	}
	l.settings = append(l.settings, setting{knownFlag: f, name: name, value: value, inherited: inherited})
	return rest, nil
}

func isFlag(arg string) bool { return len(arg) > 1 && arg[0] == '-' && arg != "--" }

package gocmd

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// line is a command line as the go command understands it. It is the same for
// all versions in the table.
type line struct {
	verb     verbs
	settings []setting // those of GOFLAGS first, as the last one wins
	packages []string
}

// setting is a flag that was given.
type setting struct {
	flag
	name      string // without dashes
	value     string // "true" where none was given
	inherited bool   // from GOFLAGS
}

func (s setting) String() string { return "-" + s.name + "=" + s.value }

// value returns what the flag was last set to, or "".
func (l line) value(name string) string {
	for _, s := range slices.Backward(l.settings) {
		if s.name == name {
			return s.value
		}
	}
	return ""
}

// parse reads the command line. Its errors are HeadsOnly's.
func (c Command) parse() (line, error) {
	args := withoutChdir(c.Args)
	if len(args) == 0 {
		return line{}, errors.New("go without a verb")
	}
	verb, err := lookupVerb(args[0])
	if err != nil {
		return line{}, err
	}
	l := line{verb: verb}
	if err := l.inherit(c.Flags); err != nil {
		return line{}, fmt.Errorf("GOFLAGS: %w", err)
	}
	if err := l.read(args[1:]); err != nil {
		return line{}, fmt.Errorf("go %s %w", args[0], err)
	}
	return l, nil
}

// withoutChdir returns args without -C, which may be the first flag only, before
// the verb or behind it: the go command takes it out before anything else.
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
	return args // the go command complains
}

// inherit reads GOFLAGS: flags that take a value have it behind "=". The go
// command passes over flags that its verb does not have; here they are errors.
// So are quotes, which it takes off around a whole flag.
func (l *line) inherit(goflags string) error {
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

// read reads what follows the verb. Flags of build and vet end at the first
// argument that is none. Flags of test may follow the packages; when they have,
// a further argument and all behind it are for the test binary.
func (l *line) read(args []string) error {
	const (
		before = iota // no package yet
		among
		behind
	)
	at := before
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
		case !isFlag(arg) && at == behind:
			return nil
		case !isFlag(arg):
			l.packages = append(l.packages, arg)
			args, at = args[1:], among
			continue
		case at == among:
			at = behind
		}
		rest, err := l.set(arg, args[1:], false)
		if err != nil {
			return err
		}
		args = rest
	}
	return nil
}

// set notes one flag, with its value from rest where that is the next argument,
// and returns what is left of rest.
func (l *line) set(arg string, rest []string, inherited bool) ([]string, error) {
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
	l.settings = append(l.settings, setting{flag: f, name: name, value: value, inherited: inherited})
	return rest, nil
}

func isFlag(arg string) bool { return len(arg) > 1 && arg[0] == '-' && arg != "--" }

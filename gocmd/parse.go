package gocmd

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// line is a command line as the go command understands it. All versions in the table
// understand it in the same way.
type line struct {
	verb     verbs
	settings []setting // the settings of GOFLAGS come first, since the last one wins
	packages []string
}

// setting is a flag that was given.
type setting struct {
	flag
	name      string // without dashes
	value     string // "true" if none was given
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

// parse reads the command line. Its errors are those of HeadsOnly.
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

// withoutChdir returns args without -C. Only the first flag may be -C, before the verb
// or after it; the go command removes it before anything else.
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
	return args // the go command reports the error
}

// inherit reads GOFLAGS. A flag there that takes a value has it after "=". The go
// command ignores flags that the verb does not have; inherit returns an error for them.
// It also returns an error for quotes, which the go command removes from around a whole
// flag.
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

// read reads the arguments after the verb. The flags of build and vet end at the first
// argument that is not a flag. Those of test may also follow the packages; then the
// next argument that is not a flag begins those of the test binary.
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

// set adds a flag to the settings. If the value of the flag is the next argument, set
// takes it from rest. It returns the remaining arguments.
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

package gocmd

import (
	"crypto/sha256"
	"fmt"
	"strconv"
)

// Command says how a go command was started.
type Command struct {
	Exe     string   // path of its executable
	Dir     string   // where it runs, after any -C
	Args    []string // the arguments after "go"
	Flags   string   // GOFLAGS in effect, which "go env -w" may have set
	Version string   // GOVERSION in effect, such as "go1.26.8"
}

// ID returns the SHA-256 of the command line. Commands have the same ID if they have
// the same arguments and the same GOFLAGS, in any folder and with any version. It
// serves to remember what a command did the last time.
func (c Command) ID() [sha256.Size]byte {
	return sha256.Sum256(fmt.Appendf(nil, "%q %q", c.Args, c.Flags))
}

// Links reports what it means if this command has a get that misses and then no put
// of the same action. If Links is true, the command has linked a program, which the
// go command does not put, or a tool has failed. It is true for build. For test such a
// get may also be for a test result that must not be cached; for vet it may be for a
// package that vet does not compile, such as a main package.
func (c Command) Links() bool {
	l, err := c.parse()
	return err == nil && l.verb == build
}

// Rebuild returns the arguments of a go command that compiles the packages that c
// compiles, under the same action IDs, and does not vet them or run anything of
// theirs. It is a go list, or for test a go test that runs no test. The caller runs it
// as c.Exe, in c.Dir, with this process's environment. That has GOFLAGS and the other
// settings that the go command has decided on, such as the GOTOOLCHAIN that it has
// switched to, without which another go command would refuse to run.
//
// A go list can't make some archives. If a package has a PGO profile whose entry is
// not cached, go list compiles the package without the profile, because it does not
// prepare one. So it makes other archives for that package and for all that import it.
//
// Rebuild returns the errors of HeadsOnly, except those for a version.
func (c Command) Rebuild() ([]string, error) {
	l, err := c.parse()
	if err != nil {
		return nil, err
	}
	var args []string
	switch l.verb {
	case build:
		args = []string{"list", "-export", "-deps", "-e"}
	case vet:
		args = []string{"list", "-export", "-deps", "-e", "-test"}
	case test: // only go test compiles the main packages of test binaries
		args = []string{"test", "-vet=off", "-count=1", "-run=^$", "-exec=true"}
	}
	for _, s := range l.settings {
		if s.lists && !s.inherited {
			args = append(args, s.String())
		}
	}
	if l.verb == vet { // go list stamps main packages as go build does, go vet only if a flag says so
		stamps, _ := strconv.ParseBool(l.value("buildvcs"))
		args = append(args, fmt.Sprintf("-buildvcs=%t", stamps))
	}
	if l.verb != test { // go test has no --, and its packages do not begin with a dash
		args = append(args, "--")
	}
	return append(args, l.packages...), nil
}

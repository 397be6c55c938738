package gocmd

import (
	"crypto/sha256"
	"fmt"
	"strconv"
)

// Command is a go command as it was started.
type Command struct {
	Exe     string   // path of its executable
	Dir     string   // where it runs, after any -C
	Args    []string // what was typed behind "go"
	Flags   string   // GOFLAGS in effect, "go env -w" included
	Version string   // GOVERSION in effect, such as "go1.26.8"
}

// ID tells command lines apart: the same arguments and the same GOFLAGS have the
// same ID, in any folder and with any version. It serves to remember what a
// command did the last time.
func (c Command) ID() [sha256.Size]byte {
	return sha256.Sum256(fmt.Appendf(nil, "%q %q", c.Args, c.Flags))
}

// Links reports whether a get of this command that misses, and that no put of the
// same action follows, means that a program was linked, which the go command
// gives to no helper, or that a tool failed. It is so for build. In test such
// gets may also be for results that are not to be cached; in vet, for packages
// that it compiles for nobody, such as main packages.
func (c Command) Links() bool {
	l, err := c.parse()
	return err == nil && l.verb == build
}

// Rebuild returns the arguments of a go command that compiles the packages that c
// compiles, under the same action IDs, and that neither vets nor runs anything of
// theirs: a go list, or for test a go test of no test. It is to be run as c.Exe,
// in c.Dir, in this process's environment, which holds GOFLAGS and what else the
// go command has settled (a GOTOOLCHAIN that it has switched to, for one, which
// another go command would refuse).
//
// Some archives go list cannot make, as it asks for others in their place: where
// a package has a PGO profile whose entry is not cached (go list does not prepare
// one, and compiles without), that package, and what imports it.
//
// The error is that of HeadsOnly, but any version will do.
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
	case test: // which alone compiles the main packages of test binaries
		args = []string{"test", "-vet=off", "-count=1", "-run=^$", "-exec=true"}
	}
	for _, s := range l.settings {
		if s.lists && !s.inherited {
			args = append(args, s.String())
		}
	}
	if l.verb == vet { // list stamps main packages as build does; vet, if told to
		stamps, _ := strconv.ParseBool(l.value("buildvcs"))
		args = append(args, fmt.Sprintf("-buildvcs=%t", stamps))
	}
	if l.verb != test { // whose packages have no dash
		args = append(args, "--")
	}
	return append(args, l.packages...), nil
}

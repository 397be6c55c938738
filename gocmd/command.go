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
	Args    []string // what was typed after "go"
	Flags   string   // GOFLAGS in effect, "go env -w" included
	Version string   // GOVERSION in effect, such as "go1.26.8"
}

// ID returns a digest of the arguments and of GOFLAGS, which tells command lines apart.
// It is the same in every folder and for every version of the go command. It serves to
// remember what a command did the last time.
func (c Command) ID() [sha256.Size]byte {
	return sha256.Sum256(fmt.Appendf(nil, "%q %q", c.Args, c.Flags))
}

// Links reports what it means if a get of this command misses and no put of the same
// action follows. It is true if that means that the go command has linked a program,
// which it gives to no helper, or that a tool has failed. That is so for build. In
// test, such a get may also be for a test result that must not be cached. In vet, it
// may be for a package of which nobody needs the archive, such as a main package.
func (c Command) Links() bool {
	l, err := c.parse()
	return err == nil && l.verb == build
}

// Rebuild returns the arguments of a go command that compiles the packages that c
// compiles, under the same action IDs. It neither vets nor runs anything in these
// packages: it is a go list, or for test a go test without tests. The caller runs it
// with c.Exe, in c.Dir and in the environment of this process. That environment has
// GOFLAGS, and what else the go command has decided, such as the GOTOOLCHAIN that it
// has switched to and that another go command would refuse.
//
// There is an exception. If a package has a PGO profile and the cache lacks the
// preprocessed profile, go list compiles the package without it. So it makes other
// archives for that package and for those that import it.
//
// The error is that of HeadsOnly, but any version is accepted.
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
	case test: // only test compiles the main packages of test binaries
		args = []string{"test", "-vet=off", "-count=1", "-run=^$", "-exec=true"}
	}
	for _, s := range l.settings {
		if s.lists && !s.inherited {
			args = append(args, s.String())
		}
	}
	if l.verb == vet { // list stamps main packages by default, and vet only if told to
		stamps, _ := strconv.ParseBool(l.value("buildvcs"))
		args = append(args, fmt.Sprintf("-buildvcs=%t", stamps))
	}
	if l.verb != test { // the packages of go test never begin with a dash
		args = append(args, "--")
	}
	return append(args, l.packages...), nil
}

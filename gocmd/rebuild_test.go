//go:build !windows

// On Windows no session is lazy.

package gocmd_test

import (
	"path/filepath"
	"regexp"
	"slices"
	"testing"
)

// many is a module with a little of everything that is part of an action ID.
const many = `
-- go.mod --
module example.com/many

go 1.24
-- plain/plain.go --
package plain

func Plain() int { return 1 }
-- plain/plain_test.go --
package plain

import "testing"

func TestPlain(t *testing.T) { Plain() }
-- above/above.go --
package above

import (
	_ "embed"

	"example.com/many/plain"
)

//go:embed text
var text string

func Above() int { return len(text) + plain.Plain() }
-- above/text --
text
-- above/above_test.go --
package above_test

import (
	"testing"

	"example.com/many/above"
)

func TestAbove(t *testing.T) { above.Above() }
-- assembly/assembly.go --
package assembly

func One() int
-- assembly/assembly_amd64.s --
TEXT ·One(SB), 4, $0-8
	MOVQ $1, ret+0(FP)
	RET
-- assembly/assembly_arm64.s --
TEXT ·One(SB), 4, $0-8
	MOVD $1, R0
	MOVD R0, ret+0(FP)
	RET
-- tagged/tagged.go --
package tagged

const Tagged = false
-- one/main.go --
package main

import (
	"example.com/many/above"
	"example.com/many/assembly"
)

func main() { println(above.Above(), assembly.One()) }
-- two/main.go --
package main

import "example.com/many/plain"

func main() { println(plain.Plain()) }
-- files/x.go --
package main

func main() { y() }
-- files/y.go --
package main

import "example.com/many/plain"

func y() { plain.Plain() }
-- files/z.go --
package main

this is not compiled
`

// TestRebuildCompilesTheSame runs the go command that Rebuild returns, and then the
// command itself, which finds everything compiled. For build, which compiles no less,
// it also runs the two in the other order.
func TestRebuildCompilesTheSame(t *testing.T) {
	usual := []string{ // one for each verb, and a folder
		"build ./plain ./above ./one ./two",
		"build -C above",
		"vet ./plain ./above ./one ./two ./tagged",
		"test -vet=off ./above ./one",
	}
	versions := []string{"local"}
	if whole {
		versions = append(versions, "go1.24.13", "go1.27.2")
	}
	for _, version := range versions {
		for _, typed := range []string{
			"build ./plain ./above ./one ./two",
			"build -C above",
			"build -tags=x -gcflags=-N -ldflags '-s -w' -asmflags=-dynlink=false -mod=mod ./one ./two",
			"build -gcflags example.com/many/plain=-N ./one ./two",
			"build files/x.go files/y.go",
			"build -buildvcs=false -- ./one ./two",
			"vet ./plain ./above ./one ./two ./tagged",
			"vet -gcflags=-l files/x.go files/y.go",
			"test -vet=off ./above ./one",
			"test -vet=off -gcflags=-N -count=1 ./above ./two -v",
			"test -vet=off plain/plain_test.go plain/plain.go",
		} {
			if !whole && !slices.Contains(usual, typed) {
				continue
			}
			t.Run(version+"/"+typed, func(t *testing.T) {
				t.Parallel()
				env := environ("GOTOOLCHAIN=" + version)
				c := command(typed, "", "")
				at := slices.Index(c.Args, "-C") + 1 // the folder of -C, if there is one
				rebuild, err := c.Rebuild()
				if err != nil {
					t.Fatal(err)
				}
				// fresh returns functions that run the two, in a copy of the module
				// that nobody has compiled yet.
				fresh := func() (command, rebuilds func() []string) {
					module := writeModule(t, many)
					run(t, module, env, "git", "init", "-q")
					run(t, module, env, "git", "add", ".")
					run(t, module, env, "git", "-c", "user.name=x", "-c", "user.email=x@x", "commit", "-q", "-m", "x")
					dir := module
					if at > 0 {
						dir = filepath.Join(module, c.Args[at])
					}
					return func() []string {
							return compiled(run(t, module, env, "go", slices.Insert(slices.Clone(c.Args), max(at+1, 1), "-x")...))
						}, func() []string {
							return compiled(run(t, dir, env, "go", slices.Insert(slices.Clone(rebuild), 1, "-x")...))
						}
				}
				command, rebuilds := fresh()
				rebuilds()
				if left := command(); len(left) > 0 {
					t.Errorf("after go %q the command compiles %q", rebuild, left)
				}
				if c.Args[0] != "build" { // the others compile less
					return
				}
				command, rebuilds = fresh()
				command()
				if left := rebuilds(); len(left) > 0 {
					t.Errorf("after the command go %q compiles %q", rebuild, left)
				}
			})
		}
	}
}

// compiled returns the packages that a go command with -x has compiled.
func compiled(output string) []string {
	var packages []string
	for _, match := range regexp.MustCompile(`(?m)/compile(?:\.exe)? .* -p (\S+) `).FindAllStringSubmatch(output, -1) {
		packages = append(packages, match[1])
	}
	return packages
}

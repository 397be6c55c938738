//go:build !windows

// On Windows no session is lazy.

package gocmd_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// chain is a module that does not need the standard library: a imports b, and b imports
// c. Only the test in it needs the standard library.
const chain = `
-- go.mod --
module example.com/chain

go 1.24
-- a/a.go --
package a

import "example.com/chain/b"

func A() int { return b.B() }
-- b/b.go --
package b

import "example.com/chain/c"

func B() int { return c.C() }
-- b/b_tagged.go --
//go:build tagged

package b

const tagged = true
-- c/c.go --
package c

func C() int { return 1 }
-- tested/tested.go --
package tested

import "example.com/chain/b"

func Tested() int { return b.B() }
-- tested/tested_test.go --
package tested_test

import (
	"testing"

	"example.com/chain/tested"
)

func TestTested(t *testing.T) {
	if tested.Tested() == 0 {
		t.Fatal()
	}
}

func BenchmarkTested(b *testing.B) {}
-- overlay.json --
{"Replace": {"b/b_more.go": "more"}}
-- more --
package b

const more = true
-- other.mod --
module example.com/chain

go 1.24
-- program/app/main.go --
package main

import "example.com/chain/a"

func main() { println(a.A()) }
`

// TestHeadsSuffice gives archives that have only their heads to go commands for which
// HeadsOnly returns nil: once when nothing has changed, and once when a package below
// has changed, so that others are compiled, linked and vetted. A tool that reads an
// archive with a hole fails. The go commands for which HeadsOnly returns an error fail,
// too.
func TestHeadsSuffice(t *testing.T) {
	for _, tt := range []struct {
		version string
		usual   []string // one for each way to compile, link, vet and run
		others  []string // with LARDER_TEST_ALL
	}{
		{"go1.24.13", nil, []string{
			"build ./a", "vet ./a", "build ./...", "build -race -x -v ./a ./b", "build -json -trimpath -p 1 ./a",
			"test -vet=off ./tested", "test -vet=off -count=1 ./...",
		}},
		{"local", []string{
			"build ./a", "build ./program/app", "build -C a", "build -overlay overlay.json -modfile=other.mod ./a",
			"vet ./...", "test ./...", "test -count=1 ./tested", "test -list . ./tested",
			"build -o copied.a ./a",
		}, []string{
			"build ./...", "build a/a.go",
			"build -asan=false -msan=false ./a", "build -race -trimpath -buildvcs=false -modcacherw ./a",
			"build -tags tagged -gcflags=-N -asmflags=-S -ldflags -s -mod=mod -pgo=off ./a ./program/app",
			"build -x -v -json -p=3 ./a",
			"vet -json -c 2 -x ./a ./b", "vet -tags=tagged b/b.go b/b_tagged.go",
			"test -vet=off ./...", "test -vet=all -race=false -v ./tested ./b", "test ./tested -json -run=Tested -skip X",
			"test -short -failfast -fullpath -timeout 1m -parallel=1 -cpu 1 -shuffle=off -test.v ./tested",
			"test -bench . -benchtime 1x -benchmem ./tested",
			"test ./tested -args x",
		}},
		{"go1.27.2", nil, []string{
			"build ./a", "build ./...", "build -race -x ./a", "vet ./...", "vet -json ./a",
			"test ./...", "test -json -count=1 ./...", "test -bench=. ./tested",
		}},
	} {
		rows := tt.usual
		if whole {
			rows = slices.Concat(tt.usual, tt.others)
		}
		if len(rows) == 0 {
			continue
		}
		t.Run(tt.version, func(t *testing.T) {
			module := writeModule(t, chain)
			write := func(name, content string) {
				if err := os.WriteFile(filepath.Join(module, name), []byte(content), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			reports := filepath.Join(t.TempDir(), "reports")
			whole := environ("GOTOOLCHAIN=" + tt.version)
			heads := slices.Concat(whole, helped(t, reports), []string{helperHeads + "=1"})
			copied := filepath.Join(module, "copied.a")
			for _, typed := range rows {
				t.Run(typed, func(t *testing.T) {
					args := command(typed, "", "").Args
					run(t, module, whole, "go", args...)
					want := run(t, module, whole, "go", args...)
					os.Remove(copied)
					got, err := try(t, module, heads, "go", args...)
					r := lastReport(t, reports)
					if r.Heads == 0 {
						t.Errorf("no archive was given out as its head")
					}
					if r.NotHeadsOnly != "" {
						if b, _ := os.ReadFile(copied); err == nil && !bytes.HasSuffix(b, make([]byte, 64)) {
							t.Errorf("%s; but heads suffice, with %d misses", r.NotHeadsOnly, r.Misses)
						}
						return
					}
					if err != nil || plainly(got) != plainly(want) {
						t.Errorf("%v\n%s\nwant\n%s", err, got, want)
					}
					t.Logf("%d heads, %d misses", r.Heads, r.Misses)

					write("b/b.go", fmt.Sprintf("package b\n\nimport \"example.com/chain/c\"\n\nfunc B() int { return c.C() + %d }\n", rand.Int()))
					if out, err := try(t, module, heads, "go", args...); err != nil {
						t.Errorf("after a change: %v", err)
					} else if r := lastReport(t, reports); r.Misses == 0 {
						t.Errorf("after a change: no miss:\n%s", out)
					}
				})
			}
		})
	}
}

// plainly returns output without what differs each time: some of its parts, and the
// order of its lines, as go test -json mixes the events of two packages.
func plainly(output string) string {
	differs := regexp.MustCompile(`\S*go-build\d+|[0-9.]+ ?s\b|\s+[0-9.]+ (ns|B|allocs)/op|"(Time|Elapsed)":[^,}]*`)
	lines := strings.Split(differs.ReplaceAllString(output, ""), "\n")
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

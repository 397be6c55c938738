package main

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/larderbuild/larder/cache"
	"github.com/larderbuild/larder/integration/harness"
)

// everything is the goal that a round ends with.
const everything = "build ./..."

// goal returns the arguments of a go command. OUT stands for a new file, and PKG for a
// package of m.
func (m module) goal(random *rand.Rand) string {
	goals := []string{
		everything, everything, everything,
		"build PKG",
		"build -o OUT ./cmd/tool",
		"vet ./...",
		"test ./...", "test PKG",
		"run ./cmd/tool",
		exports,
	}
	goal := goals[random.IntN(len(goals))]
	return strings.ReplaceAll(goal, "PKG", fmt.Sprintf("./p%d", random.IntN(len(m.packages))))
}

const exports = "list -e -export -f {{.ImportPath}}\t{{.Export}} ./..."

// outcome is what a go command came to.
type outcome struct {
	status  int
	stdout  string // sorted lines, without times, with digests in place of files
	stderr  string // the same, without larder's lines
	program [sha256.Size]byte

	took     time.Duration
	larder   []string // what larder has said
	stats    cache.Summary
	compiles int  // with -x
	hung     bool // it did not end in time, or something kept its output open
}

// elapsed matches how long tests took, or that they did not run.
var elapsed = regexp.MustCompile(`\t(\(cached\)|[0-9.]+s)|\([0-9.]+s\)`)

// newOutcome returns the outcome of a command with the given output; program is the
// file that it should have made, or "".
func newOutcome(status int, stdout, stderr, program string, list bool) (o outcome, err error) {
	o.status = status
	o.compiles = len(harness.Compiles(stderr))
	stdout, inOut, _ := harness.Counts(stdout)
	stderr, inErr, _ := harness.Counts(stderr)
	o.stats = inOut.Plus(inErr)
	var said []string
	for line := range strings.Lines(stderr) {
		if strings.HasPrefix(line, "larder: ") {
			o.larder = append(o.larder, strings.TrimSpace(line))
		} else {
			said = append(said, line)
		}
	}
	o.stderr = sorted(strings.Join(said, ""))
	if list {
		if stdout, err = digestLast(stdout); err != nil {
			return o, err
		}
	}
	o.stdout = sorted(stdout)
	if program != "" {
		o.program, err = digest(program)
		if errors.Is(err, fs.ErrNotExist) {
			err = nil // the build failed
		}
	}
	return o, err
}

// sorted returns the lines of output in a fixed order, without times: packages are
// built and tested side by side.
func sorted(output string) string {
	lines := strings.Split(elapsed.ReplaceAllString(output, "\t(time)"), "\n")
	slices.Sort(lines)
	return strings.TrimSpace(strings.Join(lines, "\n"))
}

// digestLast replaces the file that ends a line, if one does, by its SHA-256.
func digestLast(lines string) (string, error) {
	var b strings.Builder
	for line := range strings.Lines(lines) {
		name, file, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		if ok && file != "" {
			sum, err := digest(file)
			if err != nil {
				return "", err
			}
			file = fmt.Sprintf("%x", sum)
		}
		fmt.Fprintf(&b, "%s\t%s\n", name, file)
	}
	return b.String(), nil
}

func digest(file string) (sum [sha256.Size]byte, err error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return sum, err
	}
	return sha256.Sum256(data), nil
}

// difference says in what got differs from want, or returns "".
func (got outcome) difference(want outcome) string {
	switch {
	case got.status != want.status:
		return fmt.Sprintf("exit status %d, without larder %d", got.status, want.status)
	case got.program != want.program:
		return "another program than without larder"
	case got.stdout != want.stdout:
		return "another output than without larder:\n" + indent(want.stdout)
	case got.stderr != want.stderr:
		return "other errors than without larder:\n" + indent(want.stderr)
	}
	return ""
}

// String returns what a person needs to know of an outcome that was wrong.
func (o outcome) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "exit status %d after %v; %s\n", o.status, o.took.Round(time.Millisecond), o.stats)
	for name, text := range map[string]string{"stdout": o.stdout, "stderr": o.stderr, "larder": strings.Join(o.larder, "\n")} {
		if text != "" {
			fmt.Fprintf(&b, "%s:\n%s\n", name, indent(text))
		}
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func indent(text string) string { return "    " + strings.ReplaceAll(text, "\n", "\n    ") }

package integration

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/larderbuild/larder/integration/harness"
)

// pantry is the module in testdata/pantry, and where machines have it. Keys
// hold the path of the checkout; go list -test also writes the source of test
// programs to the cache, and their keys hold the path it has there. So all
// machines have the one and the other in the same place, one machine at a time.
type pantry struct {
	work string // the checkout
	tier string // LARDER_DIR, or GOCACHE without larder

	stocks []string // what each tier begins with, if anything
}

// newPantry checks the module out, long enough ago for results of its tests to
// be cached.
func newPantry(t *testing.T) pantry {
	t.Helper()
	dir := t.TempDir()
	p := pantry{work: filepath.Join(dir, "pantry"), tier: filepath.Join(dir, "tier")}
	if err := errors.Join(os.CopyFS(p.work, os.DirFS("testdata/pantry")), harness.Age(p.work)); err != nil {
		t.Fatal(err)
	}
	return p
}

// newStockedPantry is newPantry with the standard library in each tier, compiled
// without flags and with each of flags.
func newStockedPantry(t *testing.T, flags ...string) pantry {
	t.Helper()
	p := newPantry(t)
	p.stocks = wideStock(t, "", flags...)
	return p
}

// machine returns a machine whose local tier holds p's stocks and nothing else, in
// place of the machine before. Its larder is plain unless settings name another one: a
// pantry is large, and what is about races builds chained modules.
func (p pantry) machine(t *testing.T, remote string, settings ...string) *machine {
	t.Helper()
	err := os.Rename(p.tier, filepath.Join(t.TempDir(), "tier"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	if err := harness.Lend(p.tier, p.stocks...); err != nil {
		t.Fatal(err)
	}
	settings = append([]string{"GOCACHEPROG=" + plainLarder(t), "LARDER_DIR=" + p.tier}, settings...)
	m := newMachine(t, p.work, remote, settings...)
	m.dir = p.tier
	return m
}

// plain returns a machine without larder, in place of the machine before.
func (p pantry) plain(t *testing.T) *machine {
	t.Helper()
	return p.machine(t, "", "GOCACHEPROG=", "GOCACHE="+p.tier)
}

// directory returns the URL of an empty directory remote.
func directory(t *testing.T) string {
	t.Helper()
	return "file:///" + strings.TrimPrefix(filepath.ToSlash(t.TempDir()), "/")
}

// goal is a go command whose outcome depends on nothing but the pantry.
type goal struct {
	name string
	args string // OUT stands for a new file, which is part of the outcome
}

const exports = "list -export -deps -test -f {{.ImportPath}}\t{{.BuildID}}\t{{.Export}} ./..."

// goals returns those for which the standard library is compiled once. Where whole is
// set, there are trimpath and the race detector, too, for which all is compiled anew.
func goals() []goal {
	all := []goal{
		{"build", "build ./..."},
		{"build a program", "build -o OUT ./cmd/stock"},
		{"build with cgo", "build -o OUT ./cmd/weigh"},
		{"test", "test ./..."},
		{"test with cover", "test -cover ./..."},
		{"vet", "vet ./..."},
		{"list", exports},
		{"run", "run ./cmd/stock"},
	}
	if whole {
		all = append(all,
			goal{"build with trimpath", "build -trimpath -o OUT ./cmd/stock"},
			goal{"test with race", "test -race ./shelf"})
	}
	return all
}

// someGoals returns the goals that one build of the standard library is enough
// for.
func someGoals() []goal {
	var some []goal
	for _, g := range goals() {
		switch g.name {
		case "build", "build a program", "test", "vet", "list", "run":
			some = append(some, g)
		}
	}
	return some
}

// fewGoals returns those of someGoals that need the most. Where whole is set, it returns
// all of them.
func fewGoals() []goal {
	if whole {
		return someGoals()
	}
	return slices.DeleteFunc(someGoals(), func(g goal) bool { return g.name != "build" && g.name != "test" })
}

// outcome is what a goal came to.
type outcome struct {
	result
	stdout string // as in result, but with digests in place of exported files
	output [sha256.Size]byte
}

// reach runs g on m, with flags, and fails the test unless it succeeds.
func (m *machine) reach(g goal, flags ...string) outcome {
	m.t.Helper()
	out, err := m.pursue(g, flags...)
	if err != nil {
		m.t.Fatal(err)
	}
	return out
}

// pursue is reach for goroutines other than the test's.
func (m *machine) pursue(g goal, flags ...string) (out outcome, err error) {
	m.t.Helper()
	args := slices.Insert(strings.Split(g.args, " "), 1, flags...)
	file := filepath.Join(m.t.TempDir(), "out.exe")
	i := slices.Index(args, "OUT")
	if i >= 0 {
		args[i] = file
	}
	out.result = m.try("go", args...)
	if out.status != 0 {
		return out, fmt.Errorf("go %s: exit status %d\n%s%s", g.args, out.status, out.result.stdout, out.stderr)
	}
	out.stdout = out.result.stdout
	if g.args == exports {
		if out.stdout, err = digestLast(out.stdout); err != nil {
			return out, err
		}
	}
	if i >= 0 {
		out.output, err = digest(file)
	}
	return out, err
}

// digestLast replaces the file that ends a line, if one does, by its SHA-256.
func digestLast(lines string) (string, error) {
	var b strings.Builder
	for line := range strings.Lines(lines) {
		i := strings.LastIndexByte(line, '\t') + 1
		file := strings.TrimSuffix(line[i:], "\n")
		if file != "" {
			sum, err := digest(file)
			if err != nil {
				return "", err
			}
			file = fmt.Sprintf("%x", sum)
		}
		b.WriteString(line[:i] + file + "\n")
	}
	return b.String(), nil
}

func digest(file string) ([sha256.Size]byte, error) {
	data, err := os.ReadFile(file)
	return sha256.Sum256(data), err
}

// wantSame fails the test unless out is what the go command alone comes to.
func wantSame(t *testing.T, out, plain outcome) {
	t.Helper()
	if diff := firstDifference(out.stdout, plain.stdout); diff != "" {
		t.Errorf("stdout: %s", diff)
	}
	if out.output != plain.output {
		t.Error("the file that was built differs from what the go command builds alone")
	}
	wantQuiet(t, out.result)
}

// firstDifference returns the first line in which got differs from want, with
// what is wanted there, or "".
func firstDifference(got, want string) string {
	gotLines, wantLines := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range min(len(gotLines), len(wantLines)) {
		if gotLines[i] != wantLines[i] {
			return fmt.Sprintf("line %d is\n%s\nwant\n%s", i+1, gotLines[i], wantLines[i])
		}
	}
	if len(gotLines) != len(wantLines) {
		return fmt.Sprintf("%d lines, want %d", len(gotLines), len(wantLines))
	}
	return ""
}

// wantQuiet fails the test if larder had anything to complain of.
func wantQuiet(t *testing.T, r result) {
	t.Helper()
	for line := range strings.Lines(r.stderr) {
		if strings.HasPrefix(line, "larder:") {
			t.Errorf("stderr has %q", line)
		}
	}
	if r.stats.Corrupt > 0 || r.stats.UploadErrors > 0 {
		t.Errorf("%d corrupt objects, %d failed uploads", r.stats.Corrupt, r.stats.UploadErrors)
	}
}

// wantNoCompiles fails the test if r, of a command with -x, compiled anything.
func wantNoCompiles(t *testing.T, r result) {
	t.Helper()
	if compiles := r.compiles(); len(compiles) > 0 {
		t.Errorf("%d compile actions, want none; the first is\n%s", len(compiles), compiles[0])
	}
}

// elapsed matches how long a package's tests took, or that they did not run.
var elapsed = regexp.MustCompile(`\t(\(cached\)|[0-9.]+s)`)

// timeless returns out without how long things took.
func (out outcome) timeless() outcome {
	out.stdout = elapsed.ReplaceAllString(out.stdout, "\t(time)")
	return out
}

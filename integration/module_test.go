package integration

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/larderbuild/larder/integration/harness"
)

// chained is a module of packages each of which imports the one before, and of
// a program that imports the last. Without the standard library it compiles in
// next to no time.
type chained struct {
	dir      string
	packages int  // with the program
	inPlace  bool // whether the program is built in dir, without -o

	program []byte        // as the go command makes it without larder
	took    time.Duration // by that build
}

// newChained writes a module of n packages and builds it without larder, with
// a cache that holds the standard library and nothing else.
func newChained(t *testing.T, n int) *chained {
	t.Helper()
	c := writeChained(t, t.TempDir(), n)
	c.makeAlone(t)
	return c
}

// usual is the module that usualChain returns.
var usual struct {
	once  sync.Once
	chain *chained
}

// usualChain returns a module of ten packages for tests that do not change it. They
// share it, so it is built without larder once.
func usualChain(t *testing.T) *chained {
	t.Helper()
	usual.once.Do(func() {
		dir, err := os.MkdirTemp(filepath.Dir(larder), "chained-")
		if err != nil {
			t.Fatal(err)
		}
		c := writeChained(t, dir, 10)
		c.makeAlone(t)
		usual.chain = c
	})
	if usual.chain == nil {
		t.Fatal("another test could not build the module")
	}
	return usual.chain
}

// writeChained writes a module of n packages into dir.
func writeChained(t *testing.T, dir string, n int) *chained {
	t.Helper()
	c := &chained{dir: dir, packages: n}
	c.write(t, "go.mod", "module example.com/chained\n\ngo 1.26\n")
	random := rand.NewChaCha8([32]byte{})
	for i := range n - 1 {
		text := make([]byte, 8<<10) // so that an object is more than headers
		random.Read(text)
		name := fmt.Sprintf("p%03d", i)
		source := fmt.Sprintf("package %s\n\nconst Text = \"%x\"\n\nfunc Len() int { return len(Text)", name, text)
		if i > 0 {
			before := fmt.Sprintf("p%03d", i-1)
			source = fmt.Sprintf("package %s\n\nimport \"example.com/chained/%s\"\n\nconst Text = \"%x\"\n\nfunc Len() int { return len(Text) + %s.Len()",
				name, before, text, before)
		}
		c.write(t, filepath.Join(name, name+".go"), source+" }\n")
	}
	last := fmt.Sprintf("p%03d", n-2)
	c.write(t, "main.go", fmt.Sprintf("package main\n\nimport \"example.com/chained/%s\"\n\nfunc main() { println(%s.Len()) }\n", last, last))

	if err := harness.Age(c.dir); err != nil {
		t.Fatal(err)
	}
	return c
}

// makeAlone builds c without larder, for builds with larder to be compared with.
func (c *chained) makeAlone(t *testing.T) {
	t.Helper()
	out := filepath.Join(t.TempDir(), "program")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", out, ".")
	build.Dir = c.dir
	build.Env = environ("GOCACHE="+stocked(t), "GOFLAGS=-buildvcs=false")
	start := time.Now()
	if text, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build without larder: %v\n%s", err, text)
	}
	c.took = time.Since(start)
	c.program = readFile(t, out)
}

func (c *chained) write(t *testing.T, name, text string) {
	t.Helper()
	path := filepath.Join(c.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
}

// newStocked returns a machine in c whose local tier holds the standard library.
func (c *chained) newStocked(t *testing.T, remote string, settings ...string) *machine {
	t.Helper()
	m := newMachine(t, c.dir, remote, settings...)
	if err := os.Rename(stocked(t), m.dir); err != nil {
		t.Fatal(err)
	}
	return m
}

// build builds c's program on m and checks that it is the right one.
func (c *chained) build(m *machine) result {
	m.t.Helper()
	args, program := c.goal(m.t)
	r := m.must("go", args...)
	c.check(m.t, program)
	return r
}

// goal returns the arguments of a go command that builds c's program, and where.
func (c *chained) goal(t testing.TB) (args []string, program string) {
	if c.inPlace {
		program = filepath.Join(c.dir, "chained")
		_ = os.Remove(program) // or the go command may leave it as it is
		return []string{"build", "."}, program
	}
	program = filepath.Join(t.TempDir(), "program")
	return []string{"build", "-o", program, "."}, program
}

func (c *chained) check(t testing.TB, program string) {
	t.Helper()
	if !bytes.Equal(readFile(t, program), c.program) {
		t.Error("the program is not the one that is built without larder")
	}
}

func readFile(t testing.TB, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

package main

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// modulePath is the path of the module that is built.
const modulePath = "example.com/campaign"

// module is a state of the module: some packages, and a program that imports them all.
// Its package 0 to plainPackages-1 need nothing of the standard library.
type module struct {
	packages []pkg
}

// plainPackages is how many packages import nothing but each other.
const plainPackages = 5

// pkg is a package. Its name is p and its number.
type pkg struct {
	imports []int // numbers of packages before this one
	value   int
	remark  int // stands in a comment
	funcs   int // how many functions there are besides Value
	tests   int // how often the tests look; 0: no tests
	trouble trouble
}

// trouble is what is wrong with a package.
type trouble int

const (
	none        trouble = iota
	noCompile           // it does not compile
	noVet               // go vet complains
	failingTest         // its test fails, if it has one
)

// newModule returns the module as each round begins with it.
func newModule() module {
	var m module
	for i := range 8 {
		p := pkg{value: i}
		if i > 0 {
			p.imports = append(p.imports, i-1)
		}
		if i > 3 {
			p.imports = append(p.imports, i/2)
		}
		if i == 3 || i == 6 {
			p.tests = 1
		}
		m.packages = append(m.packages, p)
	}
	return m
}

// edited returns m with an edit, and says which. m itself stays as it is.
func (m module) edited(random *rand.Rand) (module, string) {
	m.packages = slices.Clone(m.packages)
	i := random.IntN(len(m.packages))
	p := &m.packages[i]
	name := fmt.Sprintf("p%d", i)
	switch random.IntN(10) {
	case 0, 1, 2:
		p.value = random.IntN(1000)
		return m, "another value in " + name
	case 3, 4:
		p.remark = random.IntN(1000)
		return m, "another comment in " + name
	case 5:
		p.funcs++
		return m, "a function more in " + name
	case 6:
		if last := len(m.packages) - 1; len(m.packages) > 12 {
			m.packages = m.packages[:last]
			return m, fmt.Sprintf("without p%d", last)
		}
		m.packages = append(m.packages, pkg{imports: []int{i}, value: random.IntN(1000), tests: random.IntN(2)})
		return m, fmt.Sprintf("p%d, which imports %s", len(m.packages)-1, name)
	case 7:
		p.tests++
		return m, "another test in " + name
	default:
		p.trouble = trouble(1 + random.IntN(3))
		return m, name + [...]string{"", " does not compile", " displeases vet", " has a test that fails"}[p.trouble]
	}
}

// mended returns m without trouble.
func (m module) mended() module {
	m.packages = slices.Clone(m.packages)
	for i := range m.packages {
		m.packages[i].trouble = none
	}
	return m
}

// files returns the text of each file of m, by its path.
func (m module) files() map[string]string {
	files := map[string]string{"go.mod": "module " + modulePath + "\n\ngo 1.24\n"}
	var imports, sum strings.Builder
	for i, p := range m.packages {
		fmt.Fprintf(&imports, "\t%q\n", fmt.Sprintf("%s/p%d", modulePath, i))
		fmt.Fprintf(&sum, " + p%d.Value()", i)
		files[fmt.Sprintf("p%d/p.go", i)] = p.source(i)
		if p.tests > 0 {
			files[fmt.Sprintf("p%d/p_test.go", i)] = p.test(i)
		}
	}
	files["cmd/tool/main.go"] = fmt.Sprintf("package main\n\nimport (\n\t\"fmt\"\n\t\"os\"\n\n%s)\n\nfunc main() {\n\tfmt.Println(len(os.Args)%s)\n}\n", &imports, &sum)
	return files
}

// source returns the source of p, whose number is i.
func (p pkg) source(i int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "// Package p%d is one of many. Remark %d.\npackage p%d\n\nimport (\n", i, p.remark, i)
	if i >= plainPackages {
		b.WriteString("\t\"fmt\"\n\t\"strings\"\n\n")
	}
	for _, n := range p.imports {
		fmt.Fprintf(&b, "\t%q\n", fmt.Sprintf("%s/p%d", modulePath, n))
	}
	b.WriteString(")\n\n")
	// Text makes the archive longer than its head by far.
	fmt.Fprintf(&b, "// Text is long.\nconst Text = %q\n\n", strings.Repeat(fmt.Sprintf("%x", sha256.Sum256([]byte{byte(i), byte(p.value)})), 60))
	fmt.Fprintf(&b, "// Value returns a sum.\nfunc Value() int {\n\treturn len(Text) + %d", p.value)
	for _, n := range p.imports {
		fmt.Fprintf(&b, " + p%d.Value()", n)
	}
	b.WriteString("\n}\n")
	for n := range p.funcs {
		fmt.Fprintf(&b, "\n// F%d returns a byte.\nfunc F%d(i int) byte { return Text[i+%d] }\n", n, n, n)
	}
	if i >= plainPackages {
		verb := "%d"
		if p.trouble == noVet {
			verb = "%s"
		}
		fmt.Fprintf(&b, "\n// Print returns the value in words.\nfunc Print() string { return strings.ToUpper(fmt.Sprintf(\"value %s\", Value())) }\n", verb)
	}
	if p.trouble == noCompile {
		b.WriteString("\nvar _ = nonsense\n")
	}
	return b.String()
}

// test returns the source of p's tests.
func (p pkg) test(i int) string {
	want := ">"
	if p.trouble == failingTest {
		want = "<"
	}
	return fmt.Sprintf(`package p%d

import "testing"

func TestValue(t *testing.T) {
	for range %d {
		if got := Value(); !(got %s 0) {
			t.Errorf("got %%d", got)
		}
	}
}
`, i, p.tests, want)
}

// write makes m what is in dir. A file has a time that depends on its text: of long
// ago, so that the go command caches what it knows of it, and another for another text,
// since go commands tell two texts of the same length apart by their times.
func (m module) write(dir string) error {
	files := m.files()
	for _, name := range slices.Sorted(maps.Keys(files)) {
		path := filepath.Join(dir, name)
		if old, err := os.ReadFile(path); err == nil && string(old) == files[name] {
			continue
		}
		sum := sha256.Sum256([]byte(files[name]))
		then := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC).Add(-time.Duration(binary.BigEndian.Uint32(sum[:])%1e7) * time.Second)
		err := errors.Join(
			os.MkdirAll(filepath.Dir(path), 0o777),
			os.WriteFile(path, []byte(files[name]), 0o666),
			os.Chtimes(path, then, then))
		if err != nil {
			return err
		}
	}
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if _, wanted := files[filepath.ToSlash(name)]; err == nil && !wanted {
			err = os.Remove(path)
		}
		return err
	})
}

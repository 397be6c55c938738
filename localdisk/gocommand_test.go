package localdisk

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// gomodule is a module to build, and an environment to build it in.
type gomodule struct{ dir, gopath string }

func newGomodule(t *testing.T) gomodule {
	t.Helper()
	m := gomodule{t.TempDir(), t.TempDir()}
	for name, text := range map[string]string{
		"go.mod":        "module example.com/larder\n\ngo 1.26\n",
		"lib/lib.go":    "package lib\n\nimport \"strconv\"\n\nfunc Text(n int) string { return strconv.Itoa(n) }\n",
		"lib/other.go":  "package lib\n\nconst Answer = 42\n",
		"cmd/p/main.go": "package main\n\nimport \"example.com/larder/lib\"\n\nfunc main() { println(lib.Text(lib.Answer)) }\n",
	} {
		path := filepath.Join(m.dir, filepath.FromSlash(name))
		mustDo(t, os.MkdirAll(filepath.Dir(path), 0o755))
		mustDo(t, os.WriteFile(path, []byte(text), 0o644))
	}
	return m
}

// run runs the go command without a helper and with d as its cache. It returns what the
// go command printed on both outputs.
func (m gomodule) run(t *testing.T, d *Dir, args ...string) (string, error) {
	cmd := exec.CommandContext(t.Context(), "go", args...)
	cmd.Dir = m.dir
	cmd.Env = append(os.Environ(),
		"GOCACHE="+d.Path(), "GOCACHEPROG=", "GOPATH="+m.gopath, "GOENV=off", "GOFLAGS=",
		"GOPROXY=off", "GOTOOLCHAIN=local", "GOWORK=off", "CGO_ENABLED=0")
	out, err := cmd.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return string(out), err
}

// compiles builds with d as the cache, and returns the number of compile actions.
func (m gomodule) compiles(t *testing.T, d *Dir) int {
	t.Helper()
	out, err := m.run(t, d, "build", "-x", "./...")
	mustDo(t, err)
	n := 0
	for line := range strings.Lines(out) {
		tool, _, _ := strings.Cut(line, " -o ")
		if tool = strings.TrimSuffix(strings.Trim(tool, `"`), ".exe"); filepath.Base(tool) == "compile" {
			n++
		}
	}
	return n
}

// copyEntries puts every entry that Get finds in from into to, and returns the number
// of entries. An entry that Get does not find must be an executable, which Go keeps in
// a directory.
func copyEntries(t *testing.T, to, from *Dir) (hits, executables int) {
	t.Helper()
	mustDo(t, from.walk(func(f file) error {
		if f.kind != actionFile {
			return nil
		}
		data, err := os.ReadFile(f.path)
		if err != nil {
			return err
		}
		e, err := parseAction(data)
		if err != nil {
			return fmt.Errorf("%s: %w", f.path, err)
		}
		got, path, err := from.Get(e.Action)
		if errors.Is(err, errNotRegular) {
			executables++
			return nil
		}
		if err != nil {
			return err
		}
		if got != e {
			t.Errorf("got %+v, want %+v", got, e)
		}
		stored, err := os.Open(path)
		if err != nil {
			return err
		}
		defer stored.Close()
		hits++
		_, err = to.Put(e, stored)
		return err
	}))
	return hits, executables
}

// TestGoCommand shows with the real go command that the format is Go's own: Get finds
// what the go command wrote, and the go command uses what Put wrote.
func TestGoCommand(t *testing.T) {
	m := newGomodule(t)
	native := New(t.TempDir())
	cold := m.compiles(t, native)
	if cold < 20 { // strconv and the runtime have more dependencies
		t.Fatalf("a cold build compiles %d packages: they are not counted right", cold)
	}
	_, err := m.run(t, native, "run", "./cmd/p")
	mustDo(t, err)

	ours := New(filepath.Join(t.TempDir(), "larder"))
	hits, executables := copyEntries(t, ours, native)
	t.Logf("%d compile actions, %d hits, %d executables", cold, hits, executables)
	if hits < 2*cold {
		t.Errorf("%d hits in a native cache, want an archive and more for each of %d packages", hits, cold)
	}
	if executables == 0 {
		t.Error("go run left no executable in its cache: that case was not tried")
	}
	if n := m.compiles(t, ours); n != 0 {
		t.Errorf("%d compile actions with a directory of ours as GOCACHE, want 0", n)
	}

	t.Run("at the same time", func(t *testing.T) {
		shared := New(filepath.Join(t.TempDir(), "larder"))
		mustDo(t, os.MkdirAll(shared.Path(), 0o700)) // as go commands want it
		built := make(chan error, 2)
		for range cap(built) {
			go func() {
				_, err := m.run(t, shared, "build", "./...")
				built <- err
			}()
		}
		for pending := cap(built); pending > 0; {
			select {
			case err := <-built:
				pending--
				if err != nil {
					t.Error(err)
				}
			default:
				copyEntries(t, shared, native)
			}
		}
		if n := m.compiles(t, shared); n != 0 {
			t.Errorf("%d compile actions afterwards, want 0", n)
		}
		wantTemps(t, shared, 0)
	})
}

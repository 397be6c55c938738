//go:build unix

package integration

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestIndexOfAnotherGOROOT has two machines build the same package of a standard library.
// They share indexes of a release of Go. They share none where all files have been given
// one time, whatever their content.
func TestIndexOfAnotherGOROOT(t *testing.T) {
	t.Parallel()
	real := newMachine(t, t.TempDir(), "").must("go", "env", "GOROOT", "GOVERSION").stdout
	root, version, _ := strings.Cut(strings.TrimSpace(real), "\n")
	released := time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC)
	for name, test := range map[string]struct {
		times     time.Time
		deps      []string // of x on each machine
		homebound int64    // indexes that the second machine makes itself
	}{
		"a release":           {times: released, deps: []string{"a", "a"}, homebound: 1}, // of unsafe, which imports nothing
		"one time for all":    {times: released.Add(time.Hour), deps: []string{"a", "a"}, homebound: 3},
		"and another content": {times: released.Add(time.Hour), deps: []string{"a", "b"}, homebound: 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, remote := t.TempDir(), directory(t)
			tree := anotherTree{at: "src", others: map[string]string{
				"VERSION":              version + "\ntime 2001-02-03T04:05:06Z\n",
				"src/go.mod":           "module std\n\ngo 1.24\n",
				"src/unsafe/unsafe.go": "package unsafe\n",
			}}
			if err := writeNew(filepath.Join(dir, "go.mod"), "module example.com/m\n\ngo 1.24\n"); err != nil {
				t.Fatal(err)
			}
			for i, dep := range test.deps {
				goroot := filepath.Join(dir, "go")
				tree.write(t, goroot, dep, test.times)
				if err := os.Symlink(filepath.Join(root, "pkg"), filepath.Join(goroot, "pkg")); err != nil {
					t.Fatal(err)
				}
				m := newMachine(t, dir, remote, "GOROOT="+goroot, "GOTOOLCHAIN=local")
				r := m.must("go", "build", "x")
				if want := test.deps[0] == dep; i == 1 && (r.stats.Indexes != test.homebound || r.stats.Misses == 0 != want) {
					t.Errorf("stats: %+v; want %d indexes, and no misses of the same content", r.stats, test.homebound)
				}
			}
		})
	}
}

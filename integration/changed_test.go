package integration

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/larderbuild/larder/integration/harness"
)

// changedChain is a chained module that a server holds, and that was changed in
// the middle since: a build of it finds the first half there, and then misses.
type changedChain struct {
	*chained
	store
	filled  string // what the store holds, as a folder
	stocked bool   // the machines have the standard library, the store has not

	// compiled is how long it took to build c with the standard library, which a machine
	// may have to compile again. 0 if machines have it.
	compiled time.Duration
}

// newChangedChain returns one whose store holds the standard library, too.
func newChangedChain(t *testing.T, packages int) changedChain {
	t.Helper()
	return makeChangedChain(t, packages, false)
}

// newStockedChangedChain returns one whose machines have the standard library.
func newStockedChangedChain(t *testing.T, packages int) changedChain {
	t.Helper()
	return makeChangedChain(t, packages, true)
}

func makeChangedChain(t *testing.T, packages int, stocked bool) changedChain {
	t.Helper()
	c := changedChain{chained: newChained(t, packages), store: s3Store(t), filled: filepath.Join(t.TempDir(), "filled"), stocked: stocked}
	first := c.build(c.disk(t, c.endpoint, c.env...))
	if !stocked {
		c.compiled = first.took
	}
	if err := os.Rename(c.folder, c.filled); err != nil {
		t.Fatal(err)
	}
	name := fmt.Sprintf("p%03d", packages/2)
	file := filepath.Join(name, name+".go")
	c.write(t, file, string(readFile(t, filepath.Join(c.dir, file)))+"\nfunc init() { println(len(Text)) }\n")
	c.makeAlone(t)
	c.inPlace = true // -o takes archives for what may be copied
	return c
}

// withoutCacheAnd is chained's, with the time for the standard library.
func (c changedChain) withoutCacheAnd(d time.Duration) time.Duration {
	return c.chained.withoutCacheAnd(d + c.compiled)
}

// disk returns a machine that has built nothing and reaches the server at endpoint.
func (c changedChain) disk(t *testing.T, endpoint string, settings ...string) *machine {
	t.Helper()
	if c.stocked {
		return c.newStocked(t, c.url(endpoint), settings...)
	}
	return newMachine(t, c.dir, c.url(endpoint), settings...)
}

// machine is disk, with the server as it was filled.
func (c changedChain) machine(t *testing.T, endpoint string, settings ...string) *machine {
	t.Helper()
	if err := os.RemoveAll(c.folder); err != nil {
		t.Fatal(err)
	}
	if err := harness.Link(c.filled, c.folder); err != nil {
		t.Fatal(err)
	}
	return c.disk(t, endpoint, append(c.env[:len(c.env):len(c.env)], settings...)...)
}

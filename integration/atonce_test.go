package integration

import (
	"slices"
	"sync"
	"testing"
)

// TestAtOnce runs go commands at once, over one local tier and one remote: some
// find what they want in the remote, some build it, several the same.
func TestAtOnce(t *testing.T) {
	t.Parallel()
	p, remote := newStockedPantry(t), directory(t)
	racing := "GOCACHEPROG=" + larder
	plain := plainOutcomes(p.plain(t), someGoals())
	p.machine(t, remote).must("go", "build", "./...")

	together := slices.Concat(plain, plain) // 12 go commands
	m := p.machine(t, remote, racing)
	outcomes := make([]outcome, len(together))
	errs := make([]error, len(together))
	var commands sync.WaitGroup
	for i, g := range together {
		commands.Go(func() { outcomes[i], errs[i] = m.pursue(g.goal) })
	}
	commands.Wait()
	for i, g := range together {
		if errs[i] != nil {
			t.Error(errs[i])
			continue
		}
		wantSame(t, outcomes[i].timeless(), g.plain.timeless())
	}

	// And each has left the remote as if it had been alone.
	for _, g := range plain {
		out := p.machine(t, remote).reach(g.goal, "-x")
		wantSame(t, out, g.plain)
		wantNoCompiles(t, out.result)
	}
}

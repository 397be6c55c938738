package cache

import (
	"bufio"
	"context"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/backend/backendtest"
	"github.com/larderbuild/larder/backend/dir"
)

// TestCompactorKilled kills a process at random moments of a compaction. The manifest then
// names everything, and the next compaction, once the lease has ended, does what is left.
func TestCompactorKilled(t *testing.T) {
	if root := os.Getenv("LARDER_TEST_COMPACTOR"); root != "" {
		compactSlowly(t, root)
		return
	}
	kills := 5
	if os.Getenv("LARDER_TEST_ALL") != "" {
		kills = 50
	}
	inTheMiddle := 0
	for i := range kills {
		root := t.TempDir()
		store := remoteIn(t, root)
		w := newWorkshopIn(t, filepath.Join(root, "local"), store)
		p, all := scattered(w, "build")

		cmd := exec.Command(os.Args[0], "-test.run=^TestCompactorKilled$")
		cmd.Env = append(os.Environ(), "LARDER_TEST_COMPACTOR="+root)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		// It writes a line when the compaction begins, and one when each request does. The
		// kills are spread over the requests. There may be fewer.
		for lines, n := bufio.NewScanner(out), 0; n < 2+i%7 && lines.Scan(); n++ {
		}
		time.Sleep(rand.N(slowRequest))
		cmd.Process.Kill()
		_ = cmd.Wait() // it was killed, or has ended

		w.wantAll("build", all)
		packs := len(inUse(w.manifest("build")))
		if until, _, err := p.manifests.leaseTaken(t.Context()); err != nil || until.Unix() > 0 {
			inTheMiddle++
		}
		if err := store.Delete(t.Context(), key("main", leaseName(p.manifests.profile)), ""); err != nil {
			t.Fatal(err)
		}
		p, _ = w.open("build", "main")
		p.saved.Published = true
		p.compact(t.Context())
		if n := len(inUse(w.manifest("build"))); n != 1 {
			t.Errorf("%d packs, after %d when it was killed\n%s", n, packs, &w.log)
		}
		w.wantAll("build", all)
	}
	t.Logf("%d of %d were killed while they had the lease", inTheMiddle, kills)
	if inTheMiddle == 0 {
		t.Error("none was killed in the middle: this test shows nothing")
	}
}

// slowRequest is how long each request of the process takes that is killed.
const slowRequest = 10 * time.Millisecond

// compactSlowly compacts what is in root, to be killed meanwhile.
func compactSlowly(t *testing.T, root string) {
	begun := false
	slow := backendtest.Faulty(remoteIn(t, root), func(op, _ string) backendtest.Fault {
		if begun {
			os.Stdout.WriteString(op + "\n")
		}
		return backendtest.Fault{Delay: slowRequest}
	})
	w := newWorkshopIn(t, filepath.Join(root, "local"), slow)
	p, _ := w.open("build", "main")
	p.saved.Published = true
	begun = true
	os.Stdout.WriteString("begun\n")
	p.compact(context.Background())
}

// remoteIn returns the store in a folder of root.
func remoteIn(t *testing.T, root string) backend.Store {
	t.Helper()
	store, err := dir.Open(t.Context(), dir.Config{Dir: filepath.Join(root, "remote")})
	if err != nil {
		t.Fatal(err)
	}
	return store
}

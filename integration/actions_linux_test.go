package integration

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/larderbuild/larder/testserver"
)

// everything is what each job of these tests builds: without C and programs if whole is not
// set.
func everything(t *testing.T, j *job) (built, tested result) {
	t.Helper()
	packages := []string{"./label", "./shelf"}
	if whole {
		packages = []string{"./..."}
	}
	built = j.must("go", append([]string{"build", "-x"}, packages...)...)
	tested = j.must("go", append([]string{"test"}, packages...)...)
	wantQuiet(t, built)
	wantQuiet(t, tested)
	return built, tested
}

// TestActions: one line in a workflow, and no bucket. A second job compiles nothing and tests
// nothing, and asks the cache service for little. A pull request reads what main has written,
// and main sees nothing of a pull request's.
func TestActions(t *testing.T) {
	t.Parallel()
	server := testserver.Actions(t)
	p := newStockedPantry(t)
	first := newJob(t, p, server, mainRef, server.Token(mainRef))
	first.begin()
	built, _ := everything(t, first)
	if len(built.compiles()) == 0 {
		t.Fatal("the first job has compiled nothing: this test shows nothing")
	}
	first.finish()
	if n := server.Counts().Creations; n != 2 {
		t.Errorf("the first job has made %d entries, want a pack and a manifest: %q", n, server.Keys(mainRef))
	}
	if !strings.Contains(first.said, "::add-mask::"+server.Token(mainRef)) {
		t.Error("the token is not masked")
	}

	before := server.Counts()
	second := newJob(t, p, server, mainRef, server.Token(mainRef))
	second.begin()
	built, tested := everything(t, second)
	wantNoCompiles(t, built)
	wantCached(t, tested)
	second.finish()
	after := server.Counts()
	calls, creations := after.Calls-before.Calls, after.Creations-before.Creations
	t.Logf("the second job: %d calls, %d entries, %d requests for blobs", calls, creations, after.Blobs-before.Blobs)
	if calls > 12 || creations > 2 {
		t.Errorf("%d calls, at most 12 are wanted; %d entries, at most 2", calls, creations)
	}
	if got := second.row("Hits"); !strings.HasSuffix(got, "(100 %)") && !strings.HasSuffix(got, "(99 %)") {
		t.Errorf("the summary is\n%s", second.summary)
	}

	testPullRequest(t, p, server)
}

// testPullRequest is the part of TestActions with a pull request.
func testPullRequest(t *testing.T, p pantry, server *testserver.ActionsServer) {
	file := filepath.Join(p.work, "label", "label.go")
	original, err := os.ReadFile(file)
	if err == nil {
		err = os.WriteFile(file, append(original, "\nfunc Changed() {}\n"...), 0o666)
	}
	if err != nil {
		t.Fatal(err)
	}
	mains, before := server.Keys(mainRef), server.Counts().Creations
	pull := newJob(t, p, server, pullRef, server.Token(pullRef, mainRef))
	pull.begin()
	built, _ := everything(t, pull)
	if n := len(built.compiles()); n == 0 || n > 6 {
		t.Errorf("the pull request has compiled %d times, want what it has changed: %s", n, strings.Join(built.compiles(), "\n"))
	}
	pull.finish()
	if n := server.Counts().Creations - before; n != 2 {
		t.Errorf("the pull request has made %d entries: %q", n, server.Keys(pullRef))
	}
	again := newJob(t, p, server, pullRef, server.Token(pullRef, mainRef))
	again.begin()
	built, _ = everything(t, again)
	wantNoCompiles(t, built)
	again.finish()

	merged := newJob(t, p, server, mainRef, server.Token(mainRef))
	merged.begin()
	built, _ = everything(t, merged)
	if len(built.compiles()) == 0 {
		t.Error("main has got what a pull request has made")
	}
	if got := server.Keys(mainRef); !slices.Equal(got, mains) {
		t.Errorf("a pull request has made main's entries %q of %q", got, mains)
	}
}

// wantCached fails the test unless all that r has tested was cached.
func wantCached(t *testing.T, r result) {
	t.Helper()
	if !strings.Contains(r.stdout, "(cached)") {
		t.Errorf("nothing was cached:\n%s", r.stdout)
	}
	for line := range strings.Lines(r.stdout) {
		if strings.HasPrefix(line, "ok") && !strings.Contains(line, "(cached)") {
			t.Errorf("tests ran again: %s", line)
		}
	}
}

// trouble is a cache service that main's jobs have filled, for tests of what may go wrong.
type trouble struct {
	*testserver.ActionsServer
	pantry
}

func newTrouble(t *testing.T) trouble {
	t.Helper()
	w := trouble{testserver.Actions(t), newStockedPantry(t)}
	w.fill(t)
	return w
}

// job returns a job of main that has begun.
func (w trouble) job(t *testing.T, settings ...string) *job {
	t.Helper()
	j := newJob(t, w.pantry, w.ActionsServer, mainRef, w.Token(mainRef), settings...)
	j.begin()
	return j
}

// fill runs a whole job of main.
func (w trouble) fill(t *testing.T) {
	t.Helper()
	j := w.job(t)
	everything(t, j)
	j.finish()
}

// wantFilled fails the test unless a job finds all that it needs, byte by byte.
func (w trouble) wantFilled(t *testing.T) {
	t.Helper()
	j := w.job(t, "LARDER_BYTES=eager")
	built, tested := everything(t, j)
	wantNoCompiles(t, built)
	wantCached(t, tested)
	j.finish()
}

// watch has seen called for each request of a method, with the number of such requests. The
// returned function ends that.
func (w trouble) watch(method string, seen func(n int)) (end func()) {
	var mu sync.Mutex
	n := 0
	w.Watch(func(r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if r.Method == method {
			n++
			seen(n)
		}
	})
	return func() { w.Watch(nil) }
}

// TestActionsTrouble: whatever becomes of the cache service's entries, builds are right,
// say nothing, and what was lost is written again.
func TestActionsTrouble(t *testing.T) {
	t.Parallel()
	w := newTrouble(t)
	t.Run("URLs that expire while a build reads", w.testReadExpiry)
	t.Run("a URL that expires while a job writes", w.testWriteExpiry)
	t.Run("a read-only token", w.testReadOnly)
	t.Run("a pack that is gone", w.testEvicted)
	t.Run("a job that was killed while it wrote", w.testKilled)
}

func (w trouble) testReadExpiry(t *testing.T) {
	expiries := 0
	end := w.watch(http.MethodGet, func(n int) {
		if n == 3 || n == 8 {
			expiries++
			w.Expire()
		}
	})
	defer end()
	w.wantFilled(t)
	if expiries == 0 {
		t.Error("no URL has expired: this test shows nothing")
	}
}

func (w trouble) testWriteExpiry(t *testing.T) {
	w.Evict("/")
	end := w.watch(http.MethodPut, func(n int) {
		if n == 1 {
			w.Expire()
		}
	})
	w.fill(t)
	end()
	if keys := w.Keys(mainRef); len(keys) != 2 {
		t.Errorf("entries %q", keys)
	}
	w.wantFilled(t)
}

func (w trouble) testReadOnly(t *testing.T) {
	w.Evict("/m/")
	before := w.Keys(mainRef)
	j := newJob(t, w.pantry, w.ActionsServer, mainRef, w.ReadOnlyToken(mainRef))
	j.begin()
	everything(t, j)
	j.finish()
	for _, word := range []string{"denied", "warning", "read-only", "error"} {
		if strings.Contains(j.said, word) {
			t.Errorf("said\n%s", j.said)
		}
	}
	if after := w.Keys(mainRef); !slices.Equal(after, before) {
		t.Errorf("entries %q, and before %q", after, before)
	}
	w.fill(t)
}

func (w trouble) testEvicted(t *testing.T) {
	if n := w.Evict("/p/"); n == 0 {
		t.Fatal("no packs: this test shows nothing")
	}
	j := w.job(t, "LARDER_BYTES=eager")
	j.must("go", "build", "./...")
	j.must("go", "test", "./...")
	j.finish()
	w.wantFilled(t)
}

func (w trouble) testKilled(t *testing.T) {
	w.Evict("/")
	reserved := make(chan struct{})
	never := make(chan struct{})
	var once sync.Once
	w.Watch(func(r *http.Request) {
		if r.Method == http.MethodPut {
			once.Do(func() { close(reserved) })
			<-never
		}
	})
	j := w.job(t)
	everything(t, j)
	flush := j.command(t.Context(), larder, "flush")
	wait := j.start(flush)
	<-reserved
	_ = flush.Process.Kill()
	wait()
	w.Watch(nil)
	close(never)
	w.fill(t)
	w.wantFilled(t)
}

// TestManyActions: many jobs end at once, and have to wait for their turn to write: none
// fails, each says one line at most, and all is written in the end.
func TestManyActions(t *testing.T) {
	server := testserver.Actions(t)
	jobs, creations := make([]*job, 5), 4
	if whole {
		jobs, creations = make([]*job, 16), 10
	}
	server.Change(func(r *testserver.ActionsRules) { r.Creations, r.Window = creations, 3*time.Second })
	p := newStockedPantry(t)
	name := func(i int) string { return fmt.Sprintf("GITHUB_JOB=job %d", i) } // has a profile of its own
	for i := range jobs {
		jobs[i] = newJob(t, p, server, mainRef, server.Token(mainRef), name(i))
		jobs[i].begin()
		jobs[i].must("go", "build", "./label")
		jobs[i].said = ""
	}
	var group sync.WaitGroup
	for _, j := range jobs {
		group.Go(func() { j.finish() })
	}
	group.Wait()
	if server.Counts().TooMany == 0 {
		t.Error("no job had to wait: this test shows nothing")
	}
	for i, j := range jobs {
		if lines := strings.Count(j.said, "\n"); lines > 1 { // that it writes
			t.Errorf("job %d says more than one line:\n%s", i, j.said)
		}
	}
	manifests := 0
	for _, key := range server.Keys(mainRef) {
		if strings.Contains(key, "/m/") {
			manifests++
		}
	}
	if manifests != len(jobs) {
		t.Errorf("%d manifests of %d jobs", manifests, len(jobs))
	}
	for _, i := range []int{0, len(jobs) / 2, len(jobs) - 1} {
		again := newJob(t, p, server, mainRef, server.Token(mainRef), name(i))
		again.begin()
		wantNoCompiles(t, again.must("go", "build", "-x", "./label"))
	}
}

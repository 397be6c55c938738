package integration

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/larderbuild/larder/localdisk"
	"github.com/larderbuild/larder/protocol"
	"github.com/larderbuild/larder/testserver"
)

// newNative returns a machine that builds in work without the helper. Its dir
// is its GOCACHE, which is empty.
func newNative(t testing.TB, work, remote string, settings ...string) *machine {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "gocache")
	env := environ("GOCACHE="+dir, "LARDER_REMOTE="+remote, "GOFLAGS=-buildvcs=false")
	return &machine{t: t, dir: dir, work: work, env: append(env, settings...)}
}

// counts is what larder restore and larder save print with --json.
type counts struct {
	Entries, Present, Failed, Used, New int
	Published                           bool
	Requests                            int `json:"remote_requests"`
}

func (m *machine) counts(command string) (c counts) {
	m.t.Helper()
	r := m.must(larder, command, "--json", "--strict")
	if err := json.Unmarshal([]byte(r.stdout), &c); err != nil {
		m.t.Fatalf("%v in %s", err, r.stdout)
	}
	return c
}

// build builds everything and returns what was compiled.
func (m *machine) build() []string {
	m.t.Helper()
	return m.must("go", "build", "-x", "-o", filepath.Join(m.t.TempDir(), "program"), ".").compiles()
}

func TestRestoreAndSave(t *testing.T) {
	t.Parallel()
	t.Run("a directory", func(t *testing.T) { testRestoreAndSave(t, 0, 5, fileURL(t.TempDir())) })
	if whole {
		actions := testserver.Actions(t)
		t.Run("gha", func(t *testing.T) {
			testRestoreAndSave(t, 1, 4, "gha://", actions.Environ(actions.Token(mainRef))...)
		})
	}
}

// testRestoreAndSave restores from a remote, and saves there. Without news it takes so many
// requests to save: where there are no entry objects, one for siblings. After a change two
// more write, at most two read which profile was published last, for a sibling that lends and
// for the profile's place, and one finds out whether the remote has conditional puts, or
// whether somebody else has written.
func testRestoreAndSave(t *testing.T, withoutNews, withNews int, remote string, settings ...string) {
	module := newChained(t, 12)
	a := newNative(t, module.dir, remote, settings...)
	if err := os.Rename(stocked(t), a.dir); err != nil {
		t.Fatal(err)
	}
	if c := a.counts("restore"); c.Entries+c.Failed != 0 {
		t.Errorf("restored from nothing: %+v", c)
	}
	if got := a.build(); len(got) < module.packages {
		t.Fatalf("compiled %q", got)
	}
	first := a.counts("save")
	if !first.Published || first.New < module.packages || first.New != first.Used {
		t.Errorf("saved at first: %+v", first)
	}

	// Another machine compiles nothing, and has nothing to save.
	b := newNative(t, module.dir, remote, settings...)
	if c := b.counts("restore"); c.Entries != first.New || c.Failed != 0 || c.Requests > 4 {
		t.Errorf("restored %+v of %+v", c, first)
	}
	if got := b.build(); len(got) > 0 {
		t.Errorf("compiled %q", got)
	}
	if c := b.counts("save"); c.Published || c.Requests != withoutNews || c.Used == 0 || c.Used > first.Used {
		t.Errorf("saved with no news: %+v", c)
	}

	// What a killed writer left long ago goes with the next command.
	killed, long := filepath.Join(b.dir, "larder", "manifests", "new-1"), time.Now().AddDate(0, 0, -8)
	if err := errors.Join(os.WriteFile(killed, nil, 0o600), os.Chtimes(killed, long, long)); err != nil {
		t.Fatal(err)
	}

	// A change makes for a small pack.
	source := filepath.Join(module.dir, "p008", "p008.go")
	module.write(t, filepath.Join("p008", "p008.go"), string(readFile(t, source))+"\nconst More = 1\n")
	if got := b.build(); len(got) == 0 || len(got) > 4 {
		t.Errorf("compiled %d after a change: %q", len(got), got)
	}
	// With it may go the indexes of the module's packages, which the go command makes once
	// the files are no longer new.
	if c := b.counts("save"); !c.Published || c.New == 0 || c.New > c.Used/2 || c.Requests != withNews {
		t.Errorf("saved after a change: %+v", c)
	}
	if exists(killed) {
		t.Errorf("%s is still there", killed)
	}

	// What was restored is as good as what was built.
	c := newNative(t, module.dir, remote, settings...)
	if n := c.counts("restore"); n.Failed != 0 {
		t.Errorf("restored %+v", n)
	}
	if got := c.build(); len(got) > 0 {
		t.Errorf("compiled %q", got)
	}
	c.must("go", "vet", "./...")
	c.must("go", "test", "./...")
	if n := c.counts("save"); !n.Published || n.New == 0 { // of vet
		t.Errorf("saved after vet and test: %+v", n)
	}
	d := newNative(t, module.dir, remote, settings...)
	d.counts("restore")
	if r := d.must("go", "test", "./..."); len(r.compiles()) > 0 {
		t.Errorf("go test compiled %q", r.compiles())
	}

	// A helper finds it, too.
	helper := newMachine(t, module.dir, remote, settings...)
	if got := helper.build(); len(got) > 0 {
		t.Errorf("with the helper it compiled %q", got)
	}
}

// A job goes on where its cache can't be had, unless it wants to know.
func TestRestoreAndSaveWithoutRemote(t *testing.T) {
	t.Parallel()
	module := usualChain(t)
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	for name, m := range map[string]*machine{
		"none":      newNative(t, module.dir, ""),
		"down":      newNative(t, module.dir, "s3://bucket?endpoint=http://127.0.0.1:1&region=us-east-1", "AWS_ACCESS_KEY_ID=a", "AWS_SECRET_ACCESS_KEY=b"),
		"read-only": newNative(t, module.dir, fileURL(t.TempDir()), "LARDER_READONLY=true"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			commands := []string{"restore", "save"}
			if name == "read-only" {
				commands = commands[1:]
			}
			for _, command := range commands {
				if command == "save" { // something, that is
					put(t, m.dir, "entry of "+name)
				}
				r := m.larder(command)
				if r.status != 0 || strings.Count(r.stderr, "\n") != 1 || !strings.HasPrefix(r.stderr, "larder: "+command+": ") {
					t.Errorf("%s: status %d, %q", command, r.status, r.stderr)
				}
				if r := m.larder(command, "--strict"); r.status != 1 || r.stderr == "" {
					t.Errorf("%s --strict: status %d, %q", command, r.status, r.stderr)
				}
			}
		})
	}
	if r := newNative(t, t.TempDir(), "").larder("restore"); r.status != 2 || !strings.Contains(r.stderr, "go.mod") {
		t.Errorf("outside a module: status %d, %q", r.status, r.stderr)
	}
}

// put puts an entry with a body of some length into the cache in dir.
func put(t *testing.T, dir, name string) {
	t.Helper()
	body := strings.Repeat("object code of "+name, 200)
	_, err := localdisk.New(dir).Put(localdisk.Entry{
		Action: protocol.ActionID(sha256.Sum256([]byte(name))),
		Output: protocol.OutputID(sha256.Sum256([]byte(body))),
		Size:   int64(len(body)),
		Time:   time.Now(),
	}, strings.NewReader(body))
	if err != nil {
		t.Error(err)
	}
}

// Jobs that save at the same time lose nothing of each other's, on real servers.
func TestConcurrentSaves(t *testing.T) {
	t.Parallel()
	const jobs, each, rounds = 8, 5, 2
	work := t.TempDir()
	if err := os.WriteFile(filepath.Join(work, "go.mod"), []byte("module example.com/jobs\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	s3, gcs, azure := testserver.S3(t), testserver.GCS(t), testserver.Azure(t)
	s3.Bucket(t, "bucket")
	gcs.Bucket(t, "bucket")
	azure.Container(t, "container")
	credentials := append(s3.Environ(), azure.Environ()...)
	for name, remote := range map[string]string{
		"s3": s3.URL("bucket", "larder"), "gcs": gcs.URL("bucket", "larder"), "azure": azure.URL("container", "larder"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for round := range rounds {
				var saving sync.WaitGroup
				for job := range jobs {
					m := newNative(t, work, remote, credentials...)
					for i := range each {
						put(t, m.dir, fmt.Sprint("round ", round, " job ", job, " entry ", i))
					}
					saving.Go(func() {
						r := m.larder("save", "--strict")
						if r.status != 0 || r.stderr != "" {
							t.Errorf("round %d job %d: status %d, %s", round, job, r.status, r.stderr)
						}
					})
				}
				saving.Wait()
			}
			c := newNative(t, work, remote, credentials...).counts("restore")
			if c.Entries != jobs*each*rounds || c.Failed != 0 {
				t.Errorf("restored %+v, want %d entries", c, jobs*each*rounds)
			}
		})
	}
}

// fileURL returns the address of a remote in dir.
func fileURL(dir string) string { return "file:///" + strings.TrimPrefix(filepath.ToSlash(dir), "/") }

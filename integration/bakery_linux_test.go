package integration

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/larderbuild/larder/integration/harness"
)

// bakery is the module in testdata/bakery: a place to run commands in, once
// without larder, in a GOCACHE that is warm for them, and once with larder, on
// an empty disk and with a remote that is as warm. Both have the same checkout,
// and their caches in the same place, one at a time: keys hold such paths.
type bakery struct {
	work string // the checkout, which is made anew for each command
	tier string // LARDER_DIR, or GOCACHE without larder
	temp string // TMPDIR

	alone   *machine // without larder
	gocache string   // where the GOCACHE lies while it is not in use
	remote  string   // folder of the directory remote
	tools   string   // folder of programs for the commands
	larder  string   // without the race detector: races don't tell one command from another
	version string   // GOTOOLCHAIN, or ""
}

// newBakery returns a bakery whose GOCACHE and remote hold what the commands in
// fill look up.
func newBakery(t *testing.T, version string, fill []string) *bakery {
	t.Helper()
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	b := &bakery{
		work: at("bakery"), tier: at("tier"), temp: at("temp"), gocache: at("gocache"),
		remote: at("remote"), tools: at("tools"), larder: plainLarder(t), version: version,
	}
	if err := errors.Join(os.Mkdir(b.gocache, 0o777), os.Mkdir(b.remote, 0o777)); err != nil {
		t.Fatal(err)
	}
	if err := harness.Lend(b.gocache, wideStock(t, version)...); err != nil {
		t.Fatal(err)
	}
	b.alone = newMachine(t, b.work, fileURL(b.remote), b.settings("GOCACHEPROG=", "GOCACHE="+b.tier)...)
	b.alone.version = version
	b.natively(t, func() {
		b.checkout(t)
		b.alone.must(b.larder, "restore", "--strict")
		b.alone.must("go", "build", "-o", filepath.Join(b.tools, "vettool"), "-ldflags=-X 'main.always=tool vet'", "./cmd/errand")
		for _, line := range fill {
			b.run(t, b.alone, row{line: line})
		}
		b.alone.must(b.larder, "save", "--strict")
	})
	return b
}

func (b *bakery) settings(more ...string) []string {
	return append([]string{"TMPDIR=" + b.temp, "GOTMPDIR=" + b.temp, "GOCACHEPROG=" + b.larder}, more...)
}

// natively calls do while the GOCACHE is in its place.
func (b *bakery) natively(t *testing.T, do func()) {
	t.Helper()
	if err := os.Rename(b.gocache, b.tier); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := os.Rename(b.tier, b.gocache); err != nil {
			t.Error(err)
		}
	}()
	do()
}

// machine returns a machine with an empty disk. What it uploads goes to a
// remote of its own, which begins as b's.
func (b *bakery) machine(t *testing.T, settings ...string) (m *machine, remote store) {
	t.Helper()
	remote.folder = filepath.Join(t.TempDir(), "remote")
	if err := harness.Link(b.remote, remote.folder); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(b.tier) }) // after the machine's own
	settings = append(b.settings("LARDER_DIR="+b.tier), settings...)
	m = newMachine(t, b.work, fileURL(remote.folder), settings...)
	m.dir, m.version = b.tier, b.version
	return m, remote
}

// wantIntact checks what was added to remote, which began as b's.
func (b *bakery) wantIntact(t *testing.T, remote store) {
	t.Helper()
	walkFiles(t, remote.folder, func(path string) {
		now, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		before, err := os.Stat(filepath.Join(b.remote, strings.TrimPrefix(path, remote.folder)))
		if err == nil && os.SameFile(now, before) {
			os.Remove(path)
		}
	})
	remote.wantIntact(t)
}

// checkout makes the checkout as it was, long enough ago for results of its
// tests to be cached.
func (b *bakery) checkout(t *testing.T) {
	t.Helper()
	err := errors.Join(os.RemoveAll(b.work), os.RemoveAll(b.temp), os.Mkdir(b.temp, 0o777),
		os.CopyFS(b.work, os.DirFS("testdata/bakery")), harness.Age(b.work))
	if err != nil {
		t.Fatal(err)
	}
}

// trace is what a command leaves behind.
type trace struct {
	status         int
	stdout, stderr string
	files          map[string]string // those of the checkout that it made, changed or removed
}

// run runs r's command on m in a new checkout.
func (b *bakery) run(t *testing.T, m *machine, r row) (trace, result) {
	t.Helper()
	b.checkout(t)
	if r.after.do != nil {
		if err := errors.Join(r.after.do(b.work), harness.Age(b.work)); err != nil {
			t.Fatal(err)
		}
	}
	before := b.files(t)
	env, args := r.words(b)
	// Only the copy has the row's variables.
	on := *m
	on.t, on.env = t, append(slices.Clone(m.env), env...)
	out := on.try(args[0], args[1:]...)
	files := b.files(t)
	maps.DeleteFunc(files, func(path, file string) bool { return before[path] == file })
	for path := range before {
		if _, there := files[path]; !there && !exists(filepath.Join(b.work, path)) {
			files[path] = "gone"
		}
	}
	return trace{out.status, b.normal(out.stdout), b.normal(out.stderr), files}, out
}

// files returns the files of the checkout, with their modes and digests.
func (b *bakery) files(t *testing.T) map[string]string {
	t.Helper()
	files := make(map[string]string)
	err := filepath.WalkDir(b.work, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		file := info.Mode().String()
		if info.Mode().IsRegular() {
			sum, err := digest(path)
			if err != nil {
				return err
			}
			file += fmt.Sprintf(" %x", sum)
		}
		files[strings.TrimPrefix(path, b.work)] = file
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// varying matches what differs from one run of a command to the next: how long
// things took, when, and the names of temporary directories.
var varying = regexp.MustCompile(`\b[0-9]+\.[0-9]+s\b|"(Time|Elapsed)":("[^"]*"|[0-9.e-]+)|\bgo-(build|link-)[0-9]+`)

// progress matches what fuzzing says every three seconds.
var progress = regexp.MustCompile(`(?m)^fuzz: (elapsed|minimizing).*\n`)

// normal returns output with what varies left out, and with the same name for
// a body in whatever cache.
func (b *bakery) normal(output string) string {
	body := regexp.MustCompile(regexp.QuoteMeta(b.tier) + `(/[^\s/"'=]+)*/([0-9a-f]{64})(-d)?`)
	output = body.ReplaceAllString(output, "CACHE/$2")
	return varying.ReplaceAllString(progress.ReplaceAllString(output, ""), "…")
}

// wantBodies checks that the files of b's tier that output names are whole:
// whoever reads a go list reads them after its end.
func (b *bakery) wantBodies(t *testing.T, output string) {
	t.Helper()
	paths := regexp.MustCompile(regexp.QuoteMeta(b.tier)+`/[^\s"]+`).FindAllString(output, -1)
	if len(paths) == 0 {
		t.Error("no file of the cache is named")
	}
	for _, path := range paths {
		if _, err := os.Stat(path); err != nil {
			t.Error(err)
		}
	}
}

// wantSameTrace fails the test unless got is what the go command alone leaves.
func wantSameTrace(t *testing.T, got, want trace) {
	t.Helper()
	if got.status != want.status {
		t.Errorf("exit status %d, want %d", got.status, want.status)
	}
	if diff := firstDifference(got.stdout, want.stdout); diff != "" {
		t.Errorf("stdout: %s", diff)
	}
	if diff := firstDifference(got.stderr, want.stderr); diff != "" {
		t.Errorf("stderr: %s", diff)
	}
	for path, file := range want.files {
		if got.files[path] != file {
			t.Errorf("%s is %q, want %q", path, got.files[path], file)
		}
	}
	for path, file := range got.files {
		if _, wanted := want.files[path]; !wanted {
			t.Errorf("%s is %q, want none", path, file)
		}
	}
}

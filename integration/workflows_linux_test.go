package integration

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/larderbuild/larder/testserver"
)

// workflow is a row of TestWorkflows.
type workflow struct {
	file   string
	job    string    // "": all of them
	events [2]string // of two jobs, the second of which finds everything
	remote string    // that the file names; "": GitHub's cache
	store  func(testing.TB) store
	args   []string // of act
	links  int64    // more programs than usual that the go command asks for
	usual  bool     // tried in each run of the tests
	slow   bool     // tried only with LARDER_TEST_LINTERS: TestLinters has the same linters

	sessions int // that a job has at least, where it isn't plain
}

// usualLinks is how many programs the pantry has. The go command asks for each program that it
// would link, though it never keeps one.
const usualLinks = 2

const s3Remote = "s3://my-bucket/go-cache?region=eu-west-1"

// workflows are the rows of TestWorkflows.
func workflows() []workflow {
	const tests = 4 // packages of the pantry that have some: linters load those, too, with go list
	mains := [2]string{"push", "push"}
	pulls := [2]string{"push", "pull_request"}
	return []workflow{
		{file: "actions.yml", events: pulls, usual: true},
		{file: "s3.yml", events: pulls, remote: s3Remote, store: s3Store, usual: true},
		{file: "s3.yml", events: [2]string{"fork", "fork"}, remote: s3Remote, store: s3Store},
		{file: "gcs.yml", events: pulls, remote: "gs://my-bucket/go-cache", store: gcsStore},
		{file: "azure.yml", events: pulls, remote: "azblob://myaccount/go-cache", store: func(t testing.TB) store { return azureStore(t).forLarder() }},
		{file: "matrix.yml", events: mains, args: []string{"--matrix", "os:ubuntu-latest", "--matrix", "go:stable"}},
		{file: "merge-queue.yml", events: [2]string{"merge_group", "pull_request"}, remote: s3Remote, store: s3Store, usual: true},
		{file: "monorepo.yml", events: mains, args: []string{"--matrix", "module:shelf"}},
		{file: "lint.yml", job: "staticcheck", events: mains, links: tests + 1, sessions: 4, slow: true},
		{file: "lint.yml", job: "golangci-lint", events: mains, links: tests, sessions: 3, slow: true},
	}
}

// notTried are the workflows that no row of TestWorkflows has, with the reason.
var notTried = map[string]string{
	"docker.yml": "docker wants its daemon; TestDockerfile runs what it builds",
	"gc.yml":     "it builds nothing; see TestWorkflowOfGC",
}

// TestWorkflows runs the workflows of docs/ci twice, each time on a fresh machine, over real
// servers in place of the clouds. The second job finds all that it needs.
func TestWorkflows(t *testing.T) {
	t.Parallel()
	for _, w := range workflows() {
		if !w.usual && !whole || w.slow && os.Getenv("LARDER_TEST_LINTERS") == "" {
			continue
		}
		t.Run(strings.Join([]string{w.file, w.job, w.events[1]}, " "), func(t *testing.T) {
			t.Parallel()
			w.test(t)
		})
	}
}

func (w workflow) test(t *testing.T) {
	var s store
	if w.store != nil {
		s = w.store(t)
	}
	a := newActing(t, s)
	if w.remote == "" || w.events[0] == "fork" {
		a.service = testserver.Actions(t)
	}
	var changes []string
	if s.url != nil {
		changes = append(changes, w.remote, s.url(s.endpoint))
	}
	changes = append(changes, "[api, worker]", "[label, shelf]", "'${{ matrix.module }}'", "'"+filepath.Join(a.work, "${{ matrix.module }}")+"'")
	args := w.args
	if w.job != "" {
		args = append(slices.Clone(args), "-j", w.job)
	}
	if w.job == "golangci-lint" {
		a.tools = []string{filepath.Dir(testserver.Program(t, "golangci-lint"))}
	}
	first := a.run(t, w.file, w.events[0], changes, args...)
	if first.stats.Misses == 0 {
		t.Errorf("the first job has missed nothing: this test shows nothing\n%s", first.stdout)
	}
	second := a.run(t, w.file, w.events[1], changes, args...)
	if second.stats.Misses > usualLinks+w.links || second.fromRemote() == 0 {
		t.Errorf("the second job: %d misses, %d hits in the remote\n%s", second.stats.Misses, second.fromRemote(), second.stdout)
	}
	if second.sessions < w.sessions {
		t.Errorf("%d sessions, want %d: the linter has none of its own\n%s", second.sessions, w.sessions, second.stdout)
	}
	if a.service != nil && a.service.Counts().Creations == 0 {
		t.Error("nothing is in GitHub's cache")
	}
}

// TestWorkflowFiles: each workflow of docs/ci is tried by a test, and each file there is in a
// page.
func TestWorkflowFiles(t *testing.T) {
	t.Parallel()
	tried := make(map[string]bool)
	for _, w := range workflows() {
		tried[w.file] = true
	}
	for file := range notTried {
		tried[file] = true
	}
	pages := ""
	for _, page := range files(t, "*.md") {
		pages += string(readFile(t, filepath.Join("../docs/ci", page)))
	}
	for _, file := range append(files(t, "*.yml"), "Dockerfile") {
		if strings.HasSuffix(file, ".yml") && !strings.HasSuffix(file, ".gitlab-ci.yml") && !tried[file] {
			t.Errorf("no test runs docs/ci/%s", file)
		}
		if !strings.Contains(pages, "("+file+")") {
			t.Errorf("no page in docs/ci has a link to %s", file)
		}
	}
}

// TestLintersOfWorkflow: lint.yml has the versions of linters that tests have tried.
func TestLintersOfWorkflow(t *testing.T) {
	t.Parallel()
	workflow := string(readFile(t, "../docs/ci/lint.yml"))
	for line := range strings.Lines(string(readFile(t, "../.ci/tools"))) {
		name, pinned, _ := strings.Cut(strings.TrimSpace(line), "=")
		_, version, _ := strings.Cut(pinned, "@")
		want := map[string]string{"staticcheck": "go run " + pinned, "golangci_lint": "version: " + version}[name]
		if !strings.Contains(workflow, want) {
			t.Errorf("docs/ci/lint.yml lacks %q", want)
		}
	}
}

// files returns the names of the files in docs/ci that match a pattern.
func files(t *testing.T, pattern string) (names []string) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join("../docs/ci", pattern))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no %s in docs/ci, %v", pattern, err)
	}
	for _, path := range paths {
		names = append(names, filepath.Base(path))
	}
	return names
}

// TestWorkflowOfGC: the scheduled workflow removes what nobody needs, and nothing else.
func TestWorkflowOfGC(t *testing.T) {
	t.Parallel()
	c, s := usualChain(t), s3Store(t)
	s.fill(t, c)
	s.putLoosePacks(t, 10)
	if err := makeOlder(s.folder, 6*day); err != nil {
		t.Fatal(err)
	}
	a := newActing(t, s)
	a.run(t, "gc.yml", "schedule", []string{s3Remote, s.url(s.endpoint)})
	if n := s.loose(t); n != 0 {
		t.Errorf("%d packs are left that nobody needs", n)
	}
	s.wantFull(t, c)
}

package integration

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/larderbuild/larder/integration/harness"
	"github.com/larderbuild/larder/testserver"
)

// stand takes the place of an action that can't run here.
type stand struct {
	action string
	why    string
	login  bool   // hands the store's credentials on, and takes them back at the end of the job
	run    string // a command that it runs in the checkout
}

// stands are all actions of docs/ci that this machine can't run.
var stands = []stand{
	{action: "actions/setup-go@v6", why: "it downloads Go; the job has the go command of the tests"},
	{action: "aws-actions/configure-aws-credentials@v5", why: "AWS alone takes GitHub's token; the job has a key of the test's server", login: true},
	{action: "azure/login@v2", why: "Entra alone takes GitHub's token; the job has the key of the test's server", login: true},
	{action: "google-github-actions/auth@v3", why: "Google alone takes GitHub's token; the test's server asks for none", login: true},
	{action: "golangci/golangci-lint-action@v8", why: "it downloads golangci-lint; the job has one that was built from its module", run: "golangci-lint run"},
}

// acting is a place where act runs the workflows of docs/ci, as GitHub does. All its jobs
// have the same checkout and the same home, and each is on a fresh machine.
type acting struct {
	pantry
	store   store                     // the bucket; its zero value where there is none
	service *testserver.ActionsServer // GitHub's cache, or nil
	folder  string                    // of the workflows and of the stands
	tools   []string                  // folders of programs for the jobs
}

func newActing(t *testing.T, s store) *acting {
	t.Helper()
	for _, program := range []string{"node", "git"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skip(err)
		}
	}
	a := &acting{pantry: newStockedPantry(t), store: s, folder: t.TempDir()}
	for _, one := range stands {
		if err := a.write(one); err != nil {
			t.Fatal(err)
		}
	}
	for _, args := range [][]string{
		{"init", "-q", "-b", "main"},
		{"-c", "user.name=larder", "-c", "user.email=larder@example.com", "commit", "-q", "--allow-empty", "-m", "empty"},
	} {
		cmd := exec.CommandContext(t.Context(), "git", args...)
		cmd.Dir = a.folder // act asks for its commit
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", cmd.Args, err, out)
		}
	}
	return a
}

// place returns the folder of a stand.
func (a *acting) place(s stand) string {
	return filepath.Join(a.folder, strings.Map(letters, s.action))
}

// write writes the action that stands for s.
func (a *acting) write(s stand) error {
	begin, end := "", ""
	if s.login {
		for _, pair := range a.store.env {
			name, _, _ := strings.Cut(pair, "=")
			begin += pair + "\n"
			end += name + "=\n"
		}
	}
	hand := func(lines string) string {
		return fmt.Sprintf("require('node:fs').appendFileSync(process.env.GITHUB_ENV, %q);\n", lines)
	}
	main := hand(begin)
	if s.run != "" {
		main += fmt.Sprintf("require('node:child_process').execSync(%q, {cwd: %q, stdio: 'inherit'});\n", s.run, a.work)
	}
	dir := a.place(s)
	return errors.Join(
		write("action.yml", "name: stand\nruns: {using: node20, main: main.js, post: post.js}\n")(dir),
		write("main.js", main)(dir),
		write("post.js", hand(end))(dir),
	)
}

// payload returns what GitHub says of an event, and the ref that the event is about.
func payload(event string) (name, ref, content string) {
	name, ref = event, mainRef
	said := map[string]any{"repository": map[string]any{"default_branch": "main", "full_name": "pantry/pantry"}}
	switch event {
	case "fork":
		name = "pull_request"
		fallthrough
	case "pull_request":
		ref = pullRef
		said["number"] = 7
		said["pull_request"] = map[string]any{"number": 7, "head": map[string]any{"repo": map[string]any{"fork": event == "fork"}}}
	case "merge_group":
		ref = "refs/heads/gh-readonly-queue/main/pr-7-1234567"
	}
	said["ref"] = ref
	text, _ := json.Marshal(said)
	return name, ref, string(text)
}

// run runs a workflow for an event, such as push, or fork for the pull request of a fork.
// Changes are pairs of what the file has and what takes its place. Args are act's.
func (a *acting) run(t *testing.T, file, event string, changes []string, args ...string) result {
	t.Helper()
	name, ref, content := payload(event)
	home := filepath.Join(a.folder, "home")
	if err := os.RemoveAll(home); err != nil {
		t.Fatal(err)
	}
	text := strings.NewReplacer(changes...).Replace(string(readFile(t, filepath.Join("../docs/ci", file))))
	if !strings.Contains(text, "working-directory") {
		text += "defaults: {run: {working-directory: '" + a.work + "'}}\n"
	}
	workflow, said, stats := filepath.Join(home, file), filepath.Join(home, "event.json"), filepath.Join(home, "stats")
	if err := errors.Join(
		harness.Lend(filepath.Join(home, ".cache", "larder"), a.stocks...),
		os.WriteFile(workflow, []byte(text), 0o666), os.WriteFile(said, []byte(content), 0o666),
	); err != nil {
		t.Fatal(err)
	}
	act := []string{
		name, "-C", a.folder, "-W", workflow, "-e", said, "-P", "ubuntu-latest=-self-hosted",
		"--bind", "--no-cache-server", "--action-offline-mode",
		"--env", "LARDER_BIN=" + larder, "--env", "LARDER_STATS=" + stats, "--env", "GOFLAGS=-buildvcs=false",
		"--local-repository", "larderbuild/larder@v1=" + absolute(t, ".."),
	}
	for _, one := range stands {
		act = append(act, "--local-repository", one.action+"="+a.place(one))
	}
	if a.service != nil {
		for _, pair := range a.service.Environ(a.service.Token(ref, mainRef)) {
			act = append(act, "--env", pair)
		}
	}
	cmd := exec.CommandContext(t.Context(), testserver.Program(t, "act", "-tags=WITHOUT_DOCKER"), append(act, args...)...)
	path := strings.Join(append(slices.Clone(a.tools), os.Getenv("PATH")), string(filepath.ListSeparator))
	cmd.Env = environ("HOME="+home, "XDG_CACHE_HOME=", "GOMODCACHE="+goEnv(t, "GOMODCACHE"), "GOENV="+goEnv(t, "GOENV"), "PATH="+path)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s for %s: %v\n%s", file, event, err, out)
	}
	r := result{stdout: string(out)}
	counts, err := os.ReadFile(stats)
	if err != nil && !errors.Is(err, fs.ErrNotExist) { // where nothing is built
		t.Fatal(err)
	}
	r.count(string(counts))
	return r
}

// absolute returns the absolute path of a file.
func absolute(t *testing.T, path string) string {
	t.Helper()
	path, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// goEnv returns a setting of the go command.
func goEnv(t *testing.T, name string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "env", name)
	cmd.Env = environ()
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

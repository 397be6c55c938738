package integration

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/larderbuild/larder/integration/harness"
	"github.com/larderbuild/larder/testserver"
)

// job is a job of GitHub Actions, on a fresh machine: its commands have the environment that
// GitHub gives them, and what larder's action has handed on.
type job struct {
	machine
	summary string // the job's summary so far
	said    string // what the action has printed

	temp   string
	action []string          // the environment of actions alone
	state  map[string]string // what the action has told its later parts
	given  map[string]string // what it has told the job's steps
}

// newJob returns a job of ref over p, whose machine has p's stocks. Token is that of the job.
// settings are variables that the workflow sets for all steps.
func newJob(t *testing.T, p pantry, server *testserver.ActionsServer, ref, token string, settings ...string) *job {
	t.Helper()
	if _, err := exec.LookPath("node"); err != nil {
		t.Skip(err)
	}
	home, temp := t.TempDir(), t.TempDir()
	dir := filepath.Join(home, ".cache", "larder")
	event := filepath.Join(temp, "event.json")
	if err := errors.Join(
		harness.Lend(dir, p.stocks...),
		os.WriteFile(event, []byte(`{"repository":{"default_branch":"main"}}`), 0o666),
	); err != nil {
		t.Fatal(err)
	}
	eventName := "push"
	if strings.HasPrefix(ref, "refs/pull/") {
		eventName = "pull_request"
	}
	env := []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + home, "CI=true",
		"GITHUB_ACTIONS=true", "GITHUB_SERVER_URL=https://github.com", "GITHUB_REPOSITORY=pantry/pantry",
		"GITHUB_WORKFLOW=CI", "GITHUB_JOB=test", "GITHUB_EVENT_NAME=" + eventName, "GITHUB_EVENT_PATH=" + event,
		"GITHUB_REF=" + ref, "GITHUB_REF_NAME=" + strings.TrimPrefix(strings.TrimPrefix(ref, "refs/heads/"), "refs/pull/"),
		"GITHUB_REF_TYPE=branch", "GITHUB_WORKSPACE=" + p.work,
		"RUNNER_ENVIRONMENT=github-hosted", "RUNNER_OS=Linux", "RUNNER_TEMP=" + temp, "RUNNER_TOOL_CACHE=" + filepath.Join(temp, "tools"),
	}
	return &job{
		machine: machine{t: t, dir: dir, work: p.work, env: append(env, settings...)},
		temp:    temp,
		action:  append(server.Environ(token), "LARDER_BIN="+plainLarder(t)),
		state:   make(map[string]string), given: make(map[string]string),
	}
}

// begin runs the action's pre and main, with inputs ("mode=off").
func (j *job) begin(inputs ...string) {
	j.t.Helper()
	for range 2 {
		j.step("start.js", inputs...)
	}
	for name, value := range j.given {
		j.env = append(j.env, name+"="+value)
	}
}

// finish runs the action's post.
func (j *job) finish(inputs ...string) {
	j.t.Helper()
	j.step("finish.js", inputs...)
}

// step runs a file of the action as the runner does, and fails the test if that fails.
func (j *job) step(file string, inputs ...string) {
	j.t.Helper()
	if status := j.tryStep(file, inputs...); status != 0 {
		j.t.Fatalf("%s: exit status %d\n%s", file, status, j.said)
	}
}

// tryStep is step for a file that may fail.
func (j *job) tryStep(file string, inputs ...string) (status int) {
	j.t.Helper()
	script, err := filepath.Abs(filepath.Join("..", "action", file))
	if err != nil {
		j.t.Fatal(err)
	}
	cmd := exec.CommandContext(j.t.Context(), "node", script)
	cmd.Dir = j.work
	cmd.Env = slices.Concat(j.env, j.action)
	for _, in := range append([]string{"mode=read-write", "version=latest", "summary=true"}, inputs...) {
		name, value, _ := strings.Cut(in, "=")
		cmd.Env = append(cmd.Env, "INPUT_"+strings.ToUpper(name)+"="+value)
	}
	for name, value := range j.state {
		cmd.Env = append(cmd.Env, "STATE_"+name+"="+value)
	}
	files := make(map[string]string)
	for _, name := range []string{"GITHUB_ENV", "GITHUB_PATH", "GITHUB_STATE", "GITHUB_STEP_SUMMARY"} {
		files[name] = filepath.Join(j.t.TempDir(), name)
		cmd.Env = append(cmd.Env, name+"="+files[name])
	}
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		j.t.Fatal(err)
	}
	j.said += string(out)
	maps.Copy(j.given, j.handed(files["GITHUB_ENV"]))
	maps.Copy(j.state, j.handed(files["GITHUB_STATE"]))
	summary, _ := os.ReadFile(files["GITHUB_STEP_SUMMARY"])
	j.summary += string(summary)
	return cmd.ProcessState.ExitCode()
}

// handed reads a file by which an action hands variables on.
func (j *job) handed(file string) map[string]string {
	j.t.Helper()
	content, _ := os.ReadFile(file)
	found := make(map[string]string)
	for rest := string(content); rest != ""; {
		head, tail, ok := strings.Cut(rest, "\n")
		name, end, _ := strings.Cut(head, "<<")
		value, after, closed := strings.Cut(tail, "\n"+end+"\n")
		if !ok || !closed {
			j.t.Fatalf("%s has %q", filepath.Base(file), content)
		}
		found[name], rest = value, after
	}
	return found
}

// row returns what the summary says in a row.
func (j *job) row(name string) string {
	for line := range strings.Lines(j.summary) {
		if value, ok := strings.CutPrefix(line, fmt.Sprintf("| %s | ", name)); ok {
			return strings.TrimSuffix(value, " |\n")
		}
	}
	return ""
}

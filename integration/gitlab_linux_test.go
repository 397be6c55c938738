package integration

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/larderbuild/larder/integration/harness"
	"github.com/larderbuild/larder/testserver"
)

// TestGitLab runs the job of docs/ci/s3.gitlab-ci.yml twice, each time on a fresh machine. The
// program that does so first holds the file against GitLab's own schema. The job gets larder
// from a page of releases, whose checksum it checks. AWS alone takes GitLab's token, so the job
// has a key of the test's server, and no role.
func TestGitLab(t *testing.T) {
	t.Parallel()
	node, program := testserver.Node(t, "gitlab-ci-local/src/index.js")
	p, s := newStockedPantry(t), s3Store(t).forLarder()
	_, page := release(t)
	dir := t.TempDir()
	home, stats := filepath.Join(dir, "home"), filepath.Join(dir, "stats")
	if err := errors.Join(
		os.WriteFile(filepath.Join(p.work, ".gitlab-ci.yml"), readFile(t, "../docs/ci/s3.gitlab-ci.yml"), 0o666),
		// The program copies a project for docker by this one, even where no docker is used.
		harness.WriteProgram(filepath.Join(dir, "rsync"), []byte("#!/bin/sh\n")),
	); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"init", "-q", "-b", "main"}, {"config", "user.name", "larder"}, {"config", "user.email", "larder@example.com"},
		{"commit", "-q", "--allow-empty", "-m", "empty"}, {"remote", "add", "origin", "git@gitlab.com:pantry/pantry.git"},
		{"update-ref", "refs/remotes/origin/main", "HEAD"}, {"symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/main"},
	} {
		cmd := exec.CommandContext(t.Context(), "git", args...)
		cmd.Dir = p.work
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", cmd.Args, err, out)
		}
	}
	run := func() result {
		if err := errors.Join(os.RemoveAll(home), os.RemoveAll(stats), harness.Lend(filepath.Join(home, ".cache", "larder"), p.stocks...)); err != nil {
			t.Fatal(err)
		}
		args := []string{program, "--force-shell-executor", "--no-shell-isolation", "--ignore-predefined-vars", "GITLAB_CI"}
		for _, variable := range []string{
			"GITLAB_CI=true", "LARDER_VERSION=1.2.3", "LARDER_RELEASES=" + page.URL, "LARDER_REMOTE=" + s.url(s.endpoint),
			"GOCACHEPROG=" + filepath.Join(home, "tools", "larder"),
			"LARDER_AWS_ROLE_ARN=", "LARDER_AWS_WEB_IDENTITY_TOKEN_FILE=" + filepath.Join(home, "tools", "token"),
		} {
			args = append(args, "--variable", variable)
		}
		cmd := exec.CommandContext(t.Context(), node, append(args, "test")...)
		cmd.Dir = p.work
		cmd.Env = append(environ("HOME="+home, "XDG_CACHE_HOME=", "PATH="+dir+":"+os.Getenv("PATH"), "GOFLAGS=-buildvcs=false", "LARDER_STATS="+stats), s.env...)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		r := result{stdout: string(out)}
		r.count(string(readFile(t, stats)))
		return r
	}
	if r := run(); r.stats.Misses <= usualLinks {
		t.Errorf("the first job: %+v: this shows nothing\n%s", r.stats, r.stdout)
	}
	if r := run(); r.stats.Misses > usualLinks || r.fromRemote() == 0 {
		t.Errorf("the second job: %+v\n%s", r.stats, r.stdout)
	}
}

//go:build unix

package cli

import (
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestOddJobs: whatever stands in a job's variables, they name a scope at once.
func TestOddJobs(t *testing.T) {
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	gitHub := environment{"GITHUB_ACTIONS=true", "GITHUB_EVENT_NAME=push", "GITHUB_REF_NAME=x"}
	digits := strings.Repeat("9", 200)
	for name, test := range map[string]struct {
		environ environment
		want    string
	}{
		"the event is a FIFO":           {append(gitHub, "GITHUB_EVENT_PATH="+fifo), "branch-x"},
		"the event never ends":          {append(gitHub, "GITHUB_EVENT_PATH=/dev/zero"), "branch-x"},
		"a long number at GitHub":       {append(gitHub, "GITHUB_REF=refs/pull/"+digits+"/merge"), "pr-" + digits[:97]},
		"a long number at GitLab":       {environment{"GITLAB_CI=true", "CI_MERGE_REQUEST_IID=" + digits}, "pr-" + digits[:97]},
		"a branch that is not a folder": {environment{"GITLAB_CI=true", "CI_COMMIT_REF_NAME=../../main"}, "branch-..-..-main"},
	} {
		if got := currentJob(test.environ).scope(); got != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}

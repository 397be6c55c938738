package cli

import (
	"errors"
	"slices"
	"testing"

	"github.com/larderbuild/larder/cache"
)

func TestJobScope(t *testing.T) {
	type environ map[string]string
	gitHub := func(event, ref, name string, more ...string) environ {
		e := environ{"GITHUB_ACTIONS": "true", "GITHUB_EVENT_NAME": event, "GITHUB_REF": ref, "GITHUB_REF_NAME": name, "GITHUB_REF_TYPE": "branch", "GITHUB_REF_PROTECTED": "false", "GITHUB_EVENT_PATH": "/event"}
		for pair := range slices.Chunk(more, 2) {
			e[pair[0]] = pair[1]
		}
		return e
	}
	for _, test := range []struct {
		name    string
		environ environ
		want    string
	}{
		{"no CI", environ{}, "main"},
		{"another CI", environ{"CI": "true", "JENKINS_URL": "https://ci"}, "main"},

		{"GitHub, protected branch", gitHub("push", "refs/heads/stable", "stable", "GITHUB_REF_PROTECTED", "true"), "main"},
		{"GitHub, default branch", gitHub("push", "refs/heads/trunk", "trunk"), "main"},
		{"GitHub, default branch by night", gitHub("schedule", "refs/heads/trunk", "trunk"), "main"},
		{"GitHub, default branch by hand", gitHub("workflow_dispatch", "refs/heads/trunk", "trunk"), "main"},
		{"GitHub, tag", gitHub("push", "refs/tags/v1", "v1", "GITHUB_REF_TYPE", "tag"), "main"},
		{"GitHub, tag by hand", gitHub("workflow_dispatch", "refs/tags/v1", "v1", "GITHUB_REF_TYPE", "tag"), "tag-v1"},
		{"GitHub, a tag called as the default branch", gitHub("workflow_dispatch", "refs/tags/trunk", "trunk", "GITHUB_REF_TYPE", "tag"), "tag-trunk"},
		{"GitHub, another branch", gitHub("push", "refs/heads/fix/a b", "fix/a b"), "branch-fix-a-b"},
		{"GitHub, a branch called main that is not the default one", gitHub("push", "refs/heads/main", "main"), "branch-main"},
		{"GitHub, a branch called as a pull request", gitHub("push", "refs/heads/pr-7", "pr-7"), "branch-pr-7"},
		{"GitHub, no payload", gitHub("push", "refs/heads/trunk", "trunk", "GITHUB_EVENT_PATH", "/missing"), "branch-trunk"},
		{"GitHub, pull request", gitHub("pull_request", "refs/pull/123/merge", "123/merge"), "pr-123"},
		{"GitHub, pull request into a protected branch", gitHub("pull_request", "refs/pull/123/merge", "123/merge", "GITHUB_REF_PROTECTED", "true"), "pr-123"},
		{"GitHub, review", gitHub("pull_request_review", "refs/pull/4/merge", "4/merge"), "pr-4"},
		{"GitHub, with the rights of the target", gitHub("pull_request_target", "refs/heads/trunk", "trunk", "GITHUB_REF_PROTECTED", "true"), "event-pull_request_target"},
		{"GitHub, after another workflow", gitHub("workflow_run", "refs/heads/trunk", "trunk", "GITHUB_REF_PROTECTED", "true"), "event-workflow_run"},
		{"GitHub, by a comment", gitHub("issue_comment", "refs/heads/trunk", "trunk"), "event-issue_comment"},
		{"GitHub, merge queue", gitHub("merge_group", "refs/heads/gh-readonly-queue/trunk/pr-7-abc", "gh-readonly-queue/trunk/pr-7-abc", "GITHUB_REF_PROTECTED", "true"), "event-merge_group"},
		{"GitHub, an event of tomorrow", gitHub("../main", "refs/heads/trunk", "trunk"), "event-..-main"},
		{"GitHub, nothing known", environ{"GITHUB_ACTIONS": "true"}, "event-"},

		{"GitLab, protected branch", environ{"GITLAB_CI": "true", "CI_COMMIT_BRANCH": "stable", "CI_COMMIT_REF_NAME": "stable", "CI_COMMIT_REF_PROTECTED": "true"}, "main"},
		{"GitLab, default branch", environ{"GITLAB_CI": "true", "CI_COMMIT_BRANCH": "trunk", "CI_COMMIT_REF_NAME": "trunk", "CI_DEFAULT_BRANCH": "trunk"}, "main"},
		{"GitLab, tag", environ{"GITLAB_CI": "true", "CI_COMMIT_TAG": "v1", "CI_COMMIT_REF_NAME": "v1"}, "main"},
		{"GitLab, another branch", environ{"GITLAB_CI": "true", "CI_COMMIT_BRANCH": "fix/x", "CI_COMMIT_REF_NAME": "fix/x", "CI_DEFAULT_BRANCH": "trunk", "CI_COMMIT_REF_PROTECTED": "false"}, "branch-fix-x"},
		{"GitLab, merge request", environ{"GITLAB_CI": "true", "CI_MERGE_REQUEST_IID": "12", "CI_COMMIT_REF_NAME": "fix", "CI_COMMIT_REF_PROTECTED": "true"}, "pr-12"},
		{"GitLab, external pull request", environ{"GITLAB_CI": "true", "CI_EXTERNAL_PULL_REQUEST_IID": "13", "CI_COMMIT_BRANCH": "fix"}, "pr-13"},
		{"GitLab, nothing known", environ{"GITLAB_CI": "true"}, "branch-"},
	} {
		t.Run(test.name, func(t *testing.T) {
			j := ciJob{
				getenv: func(name string) string { return test.environ[name] },
				readFile: func(path string) ([]byte, error) {
					if path != "/event" {
						return nil, errors.New("no such file")
					}
					return []byte(`{"repository": {"default_branch": "trunk"}, "ref": "refs/heads/main"}`), nil
				},
			}
			got := j.scope()
			if got != test.want {
				t.Errorf("scope %q, want %q", got, test.want)
			}
			if err := cache.CheckScope(got); err != nil {
				t.Errorf("scope %q: %v", got, err)
			}
		})
	}
}

// TestNamedScope: whatever the name, the scope is valid and begins with the kind.
func TestNamedScope(t *testing.T) {
	long := make([]byte, 500)
	for _, name := range []string{"", "ä", "../../main", "\x00", string(long)} {
		if scope := namedScope("branch", name); cache.CheckScope(scope) != nil || scope[:7] != "branch-" {
			t.Errorf("of %q: %q", name, scope)
		}
	}
}

package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"

	"github.com/larderbuild/larder/cache"
)

// mainScope is the scope of what has been reviewed, and of those who know no
// others.
const mainScope = "main"

func parseScopes(scopes *[]string, list string) error {
	*scopes = splitList(list)
	for _, scope := range *scopes {
		if err := cache.CheckScope(scope); err != nil {
			return fmt.Errorf("%q: %w", scope, err)
		}
	}
	if list != "" && len(*scopes) == 0 {
		return errors.New("want at least one scope")
	}
	return nil
}

// splitList returns what stands between the commas and line breaks of a list.
func splitList(list string) (items []string) {
	for item := range strings.FieldsFuncSeq(list, func(r rune) bool { return r == ',' || r == '\n' }) {
		if item = strings.TrimSpace(item); item != "" {
			items = append(items, item)
		}
	}
	return items
}

// job is what a CI job's environment says of what started it.
type job struct {
	getenv   func(string) string
	readFile func(string) ([]byte, error)
}

// scope returns the scope that the job may write, if the one who wrote the
// environment is to be believed; what the store lets it write is for the store to
// say. Main is for what got into the repository by its rules: a branch that is
// protected, or is the default one, and tags. A pull request has its own. What is
// started by others' deeds, though it may run with the rights of the default
// branch, is not main's.
func (j job) scope() string {
	switch {
	case j.getenv("GITHUB_ACTIONS") == "true":
		return j.gitHub()
	case j.getenv("GITLAB_CI") == "true":
		return j.gitLab()
	}
	return mainScope
}

var pullRef = regexp.MustCompile(`^refs/pull/([0-9]+)/`)

func (j job) gitHub() string {
	event, ref := j.getenv("GITHUB_EVENT_NAME"), j.getenv("GITHUB_REF_NAME")
	if pull := pullRef.FindStringSubmatch(j.getenv("GITHUB_REF")); pull != nil {
		return "pr-" + pull[1]
	}
	switch event {
	case "push", "schedule", "workflow_dispatch", "repository_dispatch", "release":
	default: // pull_request_target, workflow_run, issue_comment, merge_group and the like
		return partScope("event", event)
	}
	isTag := j.getenv("GITHUB_REF_TYPE") == "tag"
	switch {
	case j.getenv("GITHUB_REF_PROTECTED") == "true", isTag && event == "push", !isTag && ref != "" && ref == j.gitHubDefault():
		return mainScope
	case isTag:
		return partScope("tag", ref)
	}
	return partScope("branch", ref)
}

// gitHubDefault returns the name of the repository's default branch, or "".
func (j job) gitHubDefault() string {
	var event struct {
		Repository struct {
			DefaultBranch string `json:"default_branch"`
		} `json:"repository"`
	}
	payload, err := j.readFile(j.getenv("GITHUB_EVENT_PATH"))
	if err != nil || json.Unmarshal(payload, &event) != nil {
		return ""
	}
	return event.Repository.DefaultBranch
}

func (j job) gitLab() string {
	branch := j.getenv("CI_COMMIT_BRANCH")
	for _, number := range []string{"CI_MERGE_REQUEST_IID", "CI_EXTERNAL_PULL_REQUEST_IID"} {
		if n := j.getenv(number); n != "" {
			return partScope("pr", n)
		}
	}
	switch {
	case j.getenv("CI_COMMIT_REF_PROTECTED") == "true", j.getenv("CI_COMMIT_TAG") != "", branch != "" && branch == j.getenv("CI_DEFAULT_BRANCH"):
		return mainScope
	}
	return partScope("branch", j.getenv("CI_COMMIT_REF_NAME"))
}

var notInScope = regexp.MustCompile(`[^A-Za-z0-9._-]+`)

// partScope returns the scope of something that has a name of its own, as a branch
// has: main's it never is.
func partScope(kind, name string) string {
	scope := kind + "-" + notInScope.ReplaceAllString(name, "-")
	return scope[:min(len(scope), 100)]
}

// here is the job that this process runs in, if it runs in one.
func here() job { return job{os.Getenv, os.ReadFile} }

package cli

import (
	"encoding/json"
	"regexp"
)

// mainScope is the scope of what has been reviewed. Who uses no scopes writes it,
// too.
const mainScope = "main"

// ciJob tells from the environment of a CI job what started the job.
type ciJob struct {
	getenv   func(string) string
	readFile func(string) ([]byte, error)
}

// currentJob returns the job that this process runs in. Its environment may be that
// of no job.
func currentJob(environ environment) ciJob {
	return ciJob{environ.get, func(path string) ([]byte, error) { return readRegular(path, maxEvent) }}
}

// maxEvent is the size in bytes of the largest file in which a CI system says what has
// started a job. GitHub sends no more than 25 MB.
const maxEvent = 32 << 20

// scope returns the scope that the job should write. It believes the environment.
// Whether the job may write that scope is for the store to decide.
//
// A job writes main for what got into the repository by its rules: the default
// branch, a protected branch, a tag. A pull request has a scope of its own. Some
// events run with the rights of the default branch, but other people cause them:
// such a job does not write main.
func (j ciJob) scope() string {
	switch {
	case j.getenv("GITHUB_ACTIONS") == "true":
		return j.gitHub()
	case j.getenv("GITLAB_CI") == "true":
		return j.gitLab()
	}
	return mainScope
}

var pullRef = regexp.MustCompile(`^refs/pull/([0-9]+)/`)

func (j ciJob) gitHub() string {
	event, ref := j.getenv("GITHUB_EVENT_NAME"), j.getenv("GITHUB_REF_NAME")
	if pull := pullRef.FindStringSubmatch(j.getenv("GITHUB_REF")); pull != nil {
		return namedScope("pr", pull[1])
	}
	switch event {
	case "push", "schedule", "workflow_dispatch", "repository_dispatch", "release":
	default: // pull_request_target, workflow_run, issue_comment, merge_group and the like
		return namedScope("event", event)
	}
	isTag := j.getenv("GITHUB_REF_TYPE") == "tag"
	switch {
	case j.getenv("GITHUB_REF_PROTECTED") == "true", isTag && event == "push", !isTag && ref != "" && ref == j.gitHubDefault():
		return mainScope
	case isTag:
		return namedScope("tag", ref)
	}
	return namedScope("branch", ref)
}

// gitHubDefault returns the name of the repository's default branch, or "".
func (j ciJob) gitHubDefault() string {
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

func (j ciJob) gitLab() string {
	branch := j.getenv("CI_COMMIT_BRANCH")
	for _, number := range []string{"CI_MERGE_REQUEST_IID", "CI_EXTERNAL_PULL_REQUEST_IID"} {
		if n := j.getenv(number); n != "" {
			return namedScope("pr", n)
		}
	}
	switch {
	case j.getenv("CI_COMMIT_REF_PROTECTED") == "true", j.getenv("CI_COMMIT_TAG") != "", branch != "" && branch == j.getenv("CI_DEFAULT_BRANCH"):
		return mainScope
	}
	return namedScope("branch", j.getenv("CI_COMMIT_REF_NAME"))
}

var notInScope = regexp.MustCompile(`[^A-Za-z0-9._-]+`)

// namedScope returns the scope of something that has a name, such as a branch. The
// scope begins with the kind, so that no name makes it main.
func namedScope(kind, name string) string {
	scope := kind + "-" + notInScope.ReplaceAllString(name, "-")
	return scope[:min(len(scope), 100)]
}

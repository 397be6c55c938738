package cli

import (
	"cmp"
	"os"
	"path/filepath"
	"runtime"

	"golang.org/x/mod/modfile"
)

// mainModule returns the path of the module that folder lies in, as the nearest
// go.mod says it, or "". An empty folder lies in none.
func mainModule(folder string) string {
	for dir := folder; dir != ""; {
		if content, err := os.ReadFile(filepath.Join(dir, "go.mod")); err == nil {
			return modfile.ModulePath(content)
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return ""
		}
		dir = parent
	}
	return ""
}

// defaultProfile names the platform that is built for and, in CI, the job.
func defaultProfile(environ environment) (string, error) {
	name := cmp.Or(environ.get("GOOS"), runtime.GOOS) + "-" + cmp.Or(environ.get("GOARCH"), runtime.GOARCH)
	for _, variables := range [][]string{
		{"GITHUB_WORKFLOW", "GITHUB_JOB"},
		{"CI_JOB_NAME"}, // GitLab
		{"CIRCLE_JOB"},  // CircleCI
		{"BUILDKITE_STEP_KEY"},
		{"JOB_NAME"}, // Jenkins
	} {
		if environ.get(variables[0]) == "" {
			continue
		}
		for _, v := range variables {
			name += " " + environ.get(v)
		}
		break
	}
	return name, nil
}

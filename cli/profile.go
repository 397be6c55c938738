package cli

import (
	"cmp"
	"os"
	"path/filepath"
	"runtime"

	"golang.org/x/mod/modfile"

	"github.com/larderbuild/larder/session"
)

// profile returns the profile of what is built in the working directory. There
// is none outside a module.
func (s settings) profileHere() session.Profile {
	dir, err := os.Getwd()
	if err != nil {
		return session.Profile{}
	}
	module := mainModule(dir)
	if module == "" {
		return session.Profile{}
	}
	return session.Profile{Module: module, Name: s.profile}
}

// mainModule returns the path of the module that dir lies in, or "".
func mainModule(dir string) string {
	for {
		if content, err := os.ReadFile(filepath.Join(dir, "go.mod")); err == nil {
			return modfile.ModulePath(content)
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return ""
		}
		dir = parent
	}
}

// defaultProfile names the platform that is built for, and the job where the
// environment tells.
func defaultProfile() (string, error) {
	name := cmp.Or(os.Getenv("GOOS"), runtime.GOOS) + "-" + cmp.Or(os.Getenv("GOARCH"), runtime.GOARCH)
	for _, variables := range [][]string{
		{"GITHUB_WORKFLOW", "GITHUB_JOB"},
		{"CI_JOB_NAME"}, // GitLab
		{"CIRCLE_JOB"},  // CircleCI
		{"BUILDKITE_STEP_KEY"},
		{"JOB_NAME"}, // Jenkins
	} {
		if os.Getenv(variables[0]) == "" {
			continue
		}
		for _, v := range variables {
			name += " " + os.Getenv(v)
		}
		break
	}
	return name, nil
}

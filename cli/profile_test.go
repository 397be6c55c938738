package cli

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

func TestMainModule(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	writeFile(t, filepath.Join(root, "go.mod"), "// comment\nmodule \"example.com/outer\" // another\n\ngo 1.24\n")
	writeFile(t, filepath.Join(root, "inner", "go.mod"), "module example.com/inner\n")
	writeFile(t, filepath.Join(root, "broken", "go.mod"), "go 1.24\n")
	for _, dir := range []string{"a/b/c", "inner/x", "folder/go.mod"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for folder, want := range map[string]string{
		root:                                                   "example.com/outer",
		filepath.Join(root, "a/b/c"):                           "example.com/outer",
		filepath.Join(root, "inner"):                           "example.com/inner",
		filepath.Join(root, "inner/x"):                         "example.com/inner",
		filepath.Join(root, "broken"):                          "",
		filepath.Join(root, "folder"):                          "example.com/outer", // go.mod is a folder there
		filepath.Join(root, "missing"):                         "example.com/outer",
		filepath.VolumeName(root) + string(filepath.Separator): "",
		"": "",
	} {
		if got := mainModule(folder); got != want {
			t.Errorf("in %q: %q, want %q", folder, got, want)
		}
	}
}

func TestDefaultProfile(t *testing.T) {
	t.Parallel()
	platform := runtime.GOOS + "-" + runtime.GOARCH
	for _, test := range []struct {
		name    string
		environ environment
		want    string
	}{
		{"no CI", nil, platform},
		{"another system", environment{"GOOS=plan9"}, "plan9-" + runtime.GOARCH},
		{"another architecture", environment{"GOARCH=mips"}, runtime.GOOS + "-mips"},
		{"GitHub", environment{"GITHUB_WORKFLOW=CI", "GITHUB_JOB=test"}, platform + " CI test"},
		{"GitHub, a job that is called as another workflow's", environment{"GITHUB_WORKFLOW=release", "GITHUB_JOB=test"}, platform + " release test"},
		{"GitLab", environment{"CI_JOB_NAME=unit tests"}, platform + " unit tests"},
		{"CircleCI", environment{"CIRCLE_JOB=build"}, platform + " build"},
		{"Buildkite", environment{"BUILDKITE_STEP_KEY=lint"}, platform + " lint"},
		{"Jenkins", environment{"JOB_NAME=team/main"}, platform + " team/main"},
		{"the first that is known", environment{"JOB_NAME=outer", "CIRCLE_JOB=inner"}, platform + " inner"},
		{"GitHub, cross-compiled", environment{"GOOS=js", "GOARCH=wasm", "GITHUB_WORKFLOW=CI", "GITHUB_JOB=test"}, "js-wasm CI test"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got, err := defaultProfile(test.environ); got != test.want || err != nil {
				t.Errorf("%q, %v, want %q", got, err, test.want)
			}
		})
	}
}

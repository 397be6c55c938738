package cli

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/larderbuild/larder/cache"
)

func TestMainModule(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	write := func(name, text string) { writeFile(t, filepath.Join(root, filepath.FromSlash(name)), text) }
	write("go.mod", "// comment\nmodule \"example.com/outer\" // another\n\ngo 1.24\n")
	write("inner/go.mod", "module example.com/inner\n")
	write("broken/go.mod", "go 1.24\n")
	write("work/go.work", "go 1.24\nuse (\n\t./b\n\t./a\n\t../inner // once\n\t../inner\n\t./missing\n)\n")
	write("work/a/go.mod", "module example.com/a\n")
	write("work/b/go.mod", "module example.com/b\n")
	write("work/x/y.go", "")
	write("both/go.work", "use .\n")
	write("both/go.mod", "module example.com/both\n")
	write("nonsense/go.work", "what\n")
	write("long/go.work", "use ./m\n")
	write("long/m/go.mod", "module example.com/"+strings.Repeat("x", cache.MaxName)+"\n")
	for _, dir := range []string{"a/b/c", "inner/x", "folder/go.mod"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	const workspace = "example.com/a example.com/b example.com/inner"
	file := filepath.Join(root, "work", "go.work")
	for _, test := range []struct{ folder, goWork, want string }{
		{".", "", "example.com/outer"},
		{"a/b/c", "", "example.com/outer"},
		{"inner", "", "example.com/inner"},
		{"inner/x", "", "example.com/inner"},
		{"broken", "", ""},
		{"folder", "", "example.com/outer"}, // go.mod is a folder there
		{"missing", "", "example.com/outer"},

		{"work", "", workspace},
		{"work/x", "", workspace},
		{"work/a", "", "example.com/a"},
		{"work/x", "off", "example.com/outer"},
		{"both", "", "example.com/both"},
		{"nonsense", "", "example.com/outer"},
		{"inner", file, "example.com/inner"},
		{"/", "", ""},
		{"/", file, workspace},
		{"/", filepath.Join(root, "missing"), ""},
		{"", file, workspace},
		{"", "", ""},
	} {
		from := surroundings{environ: environment{"GOWORK=" + test.goWork}}
		switch test.folder {
		case "":
		case "/":
			from.folder = filepath.VolumeName(root) + string(filepath.Separator)
		default:
			from.folder = filepath.Join(root, test.folder)
		}
		if got := mainModule(from); got != test.want {
			t.Errorf("in %q, with GOWORK=%s: %q, want %q", test.folder, test.goWork, got, test.want)
		}
	}
	long := mainModule(surroundings{folder: filepath.Join(root, "long")})
	if !strings.HasPrefix(long, "example.com/xxx") || long != cache.ShortName(long) {
		t.Errorf("the name of a workspace is %q", long)
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
		{"Azure Pipelines", environment{"BUILD_DEFINITIONNAME=ci", "SYSTEM_STAGENAME=__default", "SYSTEM_JOBNAME=test"}, platform + " ci __default test"},
		{"Azure Pipelines, without stages", environment{"BUILD_DEFINITIONNAME=ci", "SYSTEM_JOBNAME=test"}, platform + " ci test"},
		{"CodeBuild", environment{"CODEBUILD_PROJECT_ARN=arn:aws:codebuild:eu-west-1:1:project/p"}, platform + " arn:aws:codebuild:eu-west-1:1:project/p"},
		{"TeamCity", environment{"TEAMCITY_BUILDCONF_NAME=unit tests"}, platform + " unit tests"},
		{"GoCD", environment{"GO_PIPELINE_NAME=p", "GO_STAGE_NAME=s", "GO_JOB_NAME=j"}, platform + " p s j"},
		{"Bamboo", environment{"bamboo_shortJobName=tests"}, platform + " tests"},
		{"the first that is known", environment{"JOB_NAME=outer", "CIRCLE_JOB=inner"}, platform + " inner"},
		{"GitHub, cross-compiled", environment{"GOOS=js", "GOARCH=wasm", "GITHUB_WORKFLOW=CI", "GITHUB_JOB=test"}, "js-wasm CI test"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := defaultProfile(test.environ); got != test.want {
				t.Errorf("%q, want %q", got, test.want)
			}
		})
	}
}

// TestOddJobNames: whatever a job is called, the default is a profile.
func TestOddJobNames(t *testing.T) {
	t.Parallel()
	seen := map[string]string{}
	for _, job := range []string{
		strings.Repeat("x", 240), strings.Repeat("x", 240) + "y", strings.Repeat("テスト", 40), "\xff\xfe", "line\nbreak", "../../main", "🚀 deploy",
	} {
		name := defaultProfile(environment{"CI_JOB_NAME=" + job})
		var g givenSettings
		if err := optionNamed(t, "profile").set(&g, name); err != nil {
			t.Errorf("job %q: %v", job, err)
		}
		if other, ok := seen[name]; ok {
			t.Errorf("jobs %q and %q have the same profile", job, other)
		}
		seen[name] = job
	}
}

// optionNamed returns a row of the table.
func optionNamed(t *testing.T, flag string) option {
	t.Helper()
	for _, o := range options() {
		if o.flag == flag {
			return o
		}
	}
	t.Fatalf("no option %s", flag)
	return option{}
}

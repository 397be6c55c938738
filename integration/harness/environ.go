package harness

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"slices"
)

// Exe ends the names of programs.
var Exe = map[string]string{"windows": ".exe"}[runtime.GOOS]

// turns matches the variables that would turn the go command or larder.
var turns = regexp.MustCompile(`^(LARDER_|AWS_|AZURE_|GOOGLE_|STORAGE_EMULATOR|ACTIONS_|RUNNER_|CI=|CI_|GITHUB_|GITLAB_CI|OTEL_|GOFLAGS=|GOCACHE|GODEBUG=)`)

// Environ returns this process's environment without what would turn the go
// command or larder, and with extra.
func Environ(extra ...string) []string {
	env := slices.DeleteFunc(os.Environ(), turns.MatchString)
	return append(env, extra...)
}

// BuildLarder builds larder into file, with flags of go build. The working directory
// must be in larder's module.
func BuildLarder(file string, flags ...string) error {
	build := exec.Command("go", slices.Concat([]string{"build", "-o", file}, flags, []string{"github.com/larderbuild/larder"})...)
	build.Env = Environ()
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build larder: %w\n%s", err, out)
	}
	return nil
}

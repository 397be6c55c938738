package integration

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/larderbuild/larder/integration/harness"
)

var (
	anyMount    = regexp.MustCompile(`--mount=\S+\s+`)
	secretMount = regexp.MustCompile(`type=secret,id=(\w+),env=(\w+)`)
)

// TestDockerfile runs what docs/ci/Dockerfile runs, without docker: its commands have the
// variables and secrets that docs/ci/docker.yml hands to the build, and an empty home. The
// second build finds all that it needs but the program.
func TestDockerfile(t *testing.T) {
	t.Parallel()
	p, s := newStockedPantry(t), s3Store(t)
	if err := os.RemoveAll(filepath.Join(p.work, "cmd", "weigh")); err != nil { // wants C, and the image has none
		t.Fatal(err)
	}
	workflow := string(readFile(t, "../docs/ci/docker.yml"))
	file := strings.ReplaceAll(string(readFile(t, "../docs/ci/Dockerfile")), "\\\n", " ")
	build := func() (r result) {
		home := t.TempDir()
		if err := harness.Lend(filepath.Join(home, ".cache", "larder"), p.stocks...); err != nil {
			t.Fatal(err)
		}
		m := &machine{t: t, work: p.work, env: environ("HOME="+home, "XDG_CACHE_HOME=", "GOFLAGS=-buildvcs=false",
			"LARDER_STATS=json", "PATH="+filepath.Dir(larder)+":"+os.Getenv("PATH"))}
		given := map[string]string{"LARDER_REMOTE": s.url(s.endpoint), "LARDER_SCOPE": "main"}
		for line := range strings.Lines(file) {
			instruction, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
			switch instruction {
			case "ARG":
				if !strings.Contains(workflow, "--build-arg "+rest+"=") {
					t.Errorf("docker.yml does not give %s", rest)
				}
				m.env = append(m.env, rest+"="+given[rest])
			case "RUN":
				here := *m
				here.env = append(here.env[:len(here.env):len(here.env)], dockerSecrets(t, rest, workflow, s)...)
				command := strings.ReplaceAll(anyMount.ReplaceAllString(rest, ""), "/out", filepath.Join(home, "out"))
				r = here.must("sh", "-c", command)
				wantQuiet(t, r)
			}
		}
		_, err := os.Stat(filepath.Join(home, "out", "stock"))
		if err != nil {
			t.Error(errors.Join(err, errors.New("nothing was built")))
		}
		return r
	}
	if r := build(); r.stats.Misses < 5 || r.stats.Uploads == 0 {
		t.Errorf("the first build: %+v: this shows nothing", r.stats)
	}
	if r := build(); r.stats.Misses > 1 || r.fromRemote() == 0 {
		t.Errorf("the second build: %+v", r.stats)
	}
}

// dockerSecrets returns the variables that an instruction's secrets have, if workflow names them.
func dockerSecrets(t *testing.T, instruction, workflow string, s store) (env []string) {
	t.Helper()
	for _, match := range secretMount.FindAllStringSubmatch(instruction, -1) {
		id, variable := match[1], match[2]
		if !strings.Contains(workflow, "--secret id="+id) {
			t.Errorf("docker.yml does not give the secret %s", id)
		}
		for _, pair := range s.env {
			if value, ok := strings.CutPrefix(pair, id+"="); ok {
				env = append(env, variable+"="+value)
			}
		}
	}
	return env
}

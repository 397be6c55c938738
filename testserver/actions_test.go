package testserver_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/larderbuild/larder/testserver"
)

const (
	mainRef = "refs/heads/main"
	pullRef = "refs/pull/7/merge"
)

// client runs GitHub's own client in folder, as an action of a job with token, and returns
// what its commands have returned, and what it has printed.
func client(t *testing.T, s *testserver.ActionsServer, token, folder string, commands ...[]string) (returned []any, printed string) {
	t.Helper()
	node, module := testserver.Node(t, "@actions/cache/lib/cache.js")
	list, err := json.Marshal(commands)
	if err != nil {
		t.Fatal(err)
	}
	script, err := filepath.Abs(filepath.Join("testdata", "actionscache.mjs"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), node, script, module, string(list))
	cmd.Dir = folder
	cmd.Env = append(s.Environ(token), "PATH="+os.Getenv("PATH"), "GITHUB_WORKSPACE="+folder, "RUNNER_TEMP="+t.TempDir())
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &returned); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return returned, string(out)
}

// TestActionsClient: GitHub's own client saves and restores through the server, and gets
// the answers that it expects.
func TestActionsClient(t *testing.T) {
	s := testserver.Actions(t)
	folder := t.TempDir()
	file := filepath.Join(folder, "file")
	if err := os.WriteFile(file, []byte("of main"), 0o666); err != nil {
		t.Fatal(err)
	}
	main, pull := s.Token(mainRef), s.Token(pullRef, mainRef)
	type step struct {
		name    string
		want    any
		command []string
	}
	for _, job := range []struct {
		token string
		steps []step
	}{
		{main, []step{
			{"a miss", nil, []string{"restore", "key-1", "key-"}},
			{"a first entry", true, []string{"save", "key-1"}},
			{"a conflict", false, []string{"save", "key-1"}},
			{"a hit", "key-1", []string{"restore", "key-1"}},
			{"a second entry", true, []string{"save", "key-0"}},
			{"the older one, by its key", "key-1", []string{"restore", "key-1"}},
			{"the newest one, by a prefix, whatever sorts first", "key-0", []string{"restore", "other", "key-"}},
			{"a key is a prefix, too", "key-0", []string{"restore", "key-"}},
			{"case does not count", "key-1", []string{"restore", "KEY-1"}},
			{"no prefix", nil, []string{"restore", "other", "keys-"}},
		}},
		{pull, []step{
			{"a pull request reads main's", "key-0", []string{"restore", "other", "key-"}},
			{"it writes its own", true, []string{"save", "key-1"}},
			{"it reads its own before main's", "key-1", []string{"restore", "other", "key-"}},
		}},
		{main, []step{{"main does not see it", "key-0", []string{"restore", "other", "key-"}}}},
		{s.ReadOnlyToken(mainRef), []step{
			{"who may only read", "key-0", []string{"restore", "key-0"}},
			{"who may not write", false, []string{"save", "key-3"}},
		}},
	} {
		var commands [][]string
		for _, one := range job.steps {
			commands = append(commands, one.command)
		}
		got, printed := client(t, s, job.token, folder, commands...)
		for i, one := range job.steps {
			if !reflect.DeepEqual(got[i], one.want) {
				t.Errorf("%s: %v, want %v\n%s", one.name, got[i], one.want, printed)
			}
		}
	}

	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	client(t, s, main, folder, []string{"restore", "key-0"})
	if content, err := os.ReadFile(file); string(content) != "of main" || err != nil {
		t.Errorf("restored %q, %v", content, err)
	}

	s.Change(func(r *testserver.ActionsRules) { r.Creations = 0 })
	if _, printed := client(t, s, main, folder, []string{"save", "key-4"}); !strings.Contains(printed, "rate limit") {
		t.Errorf("above the limit: %s", printed)
	}
}

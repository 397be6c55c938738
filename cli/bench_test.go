package cli

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	urfave "github.com/urfave/cli/v3"

	"github.com/larderbuild/larder/session"
	"github.com/larderbuild/larder/sign"
)

// withBench calls f with the command that larder bench becomes with args.
func withBench(t *testing.T, f func(*urfave.Command), args ...string) {
	t.Helper()
	cmd := new(program).benchCommand()
	cmd.Action = func(_ context.Context, cmd *urfave.Command) error {
		f(cmd)
		return nil
	}
	if err := cmd.Run(t.Context(), append([]string{"bench"}, args...)); err != nil {
		t.Fatal(err)
	}
}

func TestCheckGoCommand(t *testing.T) {
	t.Parallel()
	for command, want := range map[string]string{
		"go build ./...":        "",
		"go test -run=X .":      "",
		"go vet":                "",
		"go build -ldflags=-C":  "",
		"":                      "a go command must follow --",
		"make all":              `"make" is not the go command`,
		"gofmt -l":              `"gofmt" is not the go command`,
		"/missing/go build":     "/missing/go",
		"go1.2.3.missing build": "go1.2.3.missing",
		"go":                    "want go and one of build, install, list, run, test, vet",
		"go clean -cache":       "want go and one of build, install, list, run, test, vet",
		"go -C x build":         "want go and one of build, install, list, run, test, vet",
		"go build -C x":         "run larder bench in that folder instead",
		"go build --C=x":        "run larder bench in that folder instead",
	} {
		err := checkGoCommand(strings.Fields(command))
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", command, err, want)
		}
	}
}

func TestBenchSettings(t *testing.T) {
	t.Parallel()
	key, _, _ := newKey(t)
	module := session.Target{Profile: session.Profile{Module: "example.com/m", Name: "p"}}
	remote := module
	remote.Remote = "s3://bucket"
	for _, test := range []struct {
		name      string
		args      string // before the command
		change    func(*settings)
		latency   time.Duration
		bandwidth int64
		want      string // in the error
	}{
		{name: "a directory", latency: 20 * time.Millisecond},
		{name: "a directory, with a latency", args: "--latency=5ms", latency: 5 * time.Millisecond},
		{name: "a directory, without latency", args: "--latency=0s"},
		{name: "a bandwidth", args: "--bandwidth=1MiB", latency: 20 * time.Millisecond, bandwidth: 1 << 20},
		{name: "a remote", change: func(s *settings) { s.target = remote }},
		{name: "a remote, with a latency", args: "--latency 1s", change: func(s *settings) { s.target = remote }, latency: time.Second},
		{name: "a remote that is read-only", change: func(s *settings) { s.target, s.readOnly = remote, true }, want: "LARDER_READONLY (or --readonly) is true, but larder bench has to write"},
		{name: "a remote that lists nothing", change: func(s *settings) { s.target.Remote = "gha://" }, want: "can't remove again what it writes to gha://"},
		{name: "a directory, and read-only", change: func(s *settings) { s.readOnly = true }, latency: 20 * time.Millisecond},
		{name: "trust in others", change: func(s *settings) { s.policy.Trust = sign.Only(key) }, latency: 20 * time.Millisecond},
		{name: "no runs", args: "-n 0", want: "-n is 0: want 1 or more"},
		{name: "a latency that is none", args: "--latency=20", want: `--latency is "20": want a duration`},
		{name: "a bandwidth that is none", args: "--bandwidth=wide", want: `--bandwidth is "wide": want a size`},
		{name: "no module", change: func(s *settings) { s.target.Profile = session.Profile{} }, want: "there is no go.mod or go.work here, nor in a folder above"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := settings{target: module}
			if test.change != nil {
				test.change(&s)
			}
			withBench(t, func(cmd *urfave.Command) {
				got, err := benchSettings(cmd, s)
				if test.want != "" {
					if err == nil || !strings.Contains(err.Error(), test.want) {
						t.Errorf("error %v, want %q", err, test.want)
					}
					return
				}
				if err != nil || got.latency != test.latency || got.bandwidth != test.bandwidth {
					t.Errorf("latency %v, bandwidth %d, %v, want %v, %d", got.latency, got.bandwidth, err, test.latency, test.bandwidth)
				}
				if !got.writes() || got.policy.Trust != nil || got.target.Profile != module.Profile || got.target.Remote != s.target.Remote {
					t.Errorf("%+v", got)
				}
			}, append(strings.Fields(test.args), "--", "go", "build")...)
		})
	}
}

func TestCheckFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	source, text := filepath.Join(dir, "m.go"), filepath.Join(dir, "m.txt")
	writeFile(t, source, "package m\n")
	writeFile(t, text, "")
	chart := filepath.Join(dir, "chart.svg")
	for _, test := range []struct {
		args []string
		edit string
		want string // in the error
	}{
		{nil, "", ""},
		{[]string{"--edit", source, "--plot", chart}, source, ""},
		{[]string{"--edit", "bench_test.go"}, absolute(t, "bench_test.go"), ""},
		{[]string{"--edit", text}, "", "want a file of Go source"},
		{[]string{"--edit", dir}, "", "want a file of Go source"},
		{[]string{"--edit", filepath.Join(dir, "missing.go")}, "", "missing.go"},
		{[]string{"--plot", filepath.Join(dir, "missing", "chart.svg")}, "", "there is no folder"},
		{[]string{"--plot", filepath.Join(source, "chart.svg")}, "", "there is no folder"},
		{[]string{"--edit", source, "--", "go", "build", "-overlay=x"}, "", "must not have an -overlay"},
	} {
		withBench(t, func(cmd *urfave.Command) {
			edit, err := checkFiles(cmd)
			if edit != test.edit || (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
				t.Errorf("%q: %q, %v, want %q, %q", test.args, edit, err, test.edit, test.want)
			}
		}, test.args...)
	}
}

func absolute(t *testing.T, path string) string {
	t.Helper()
	path, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func TestWithPrefix(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]string{
		"s3://bucket":                             "s3://bucket/x",
		"s3://bucket/prefix/?region=eu-west-1":    "s3://bucket/prefix/x?region=eu-west-1",
		"file:///a%20b":                           "file:///a%20b/x",
		"gs://bucket/a?endpoint=http://127.0.0.1": "gs://bucket/a/x?endpoint=http://127.0.0.1",
	} {
		if got, err := withPrefix(url, "x"); got != want || err != nil {
			t.Errorf("%s: %s, %v, want %s", url, got, err, want)
		}
	}
}

// TestResults: what commands print for people.
func TestResults(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		result fmt.Stringer
		want   string
	}{
		{flushed{}, "nothing was left to upload"},
		{flushed{Uploads: 3, BytesOut: 2048}, "uploaded 3 entries, 2.0 KiB"},
		{flushed{Published: 4, BytesOut: 2048}, "uploaded 0 entries, 2.0 KiB; 4 published"},
		{flushed{Failed: 2}, "uploaded 0 entries, 0 B; 2 failed"},
		{&restored{}, "nothing to restore yet"},
		{&restored{Entries: 3, Bytes: 2048, Present: 1}, "restored 3 entries, 2.0 KiB; 1 were there"},
		{&restored{Failed: 2}, "restored 0 entries, 0 B; 0 were there; 2 could not be restored"},
		{&saved{Used: 5}, "nothing new among the 5 entries that the build used"},
		{&saved{Used: 5, New: 2, Published: true, BytesOut: 1024}, "saved 2 of the 5 entries that the build used, 1.0 KiB"},
		{removed{Files: 1, Bytes: 1024}, "removed 1 files, 1.0 KiB; 0 B left"},
		{removed{BytesLeft: 1024, InUse: true}, "removed 0 files, 0 B; 1.0 KiB left for sessions under way"},
		{versionInfo{Version: "v1", Go: "go1", Platform: "a/b"}, "larder v1 go1 a/b"},
		{versionInfo{Version: "v1", Go: "go1", Platform: "a/b", Revision: "c0ffee"}, "larder v1 go1 a/b c0ffee"},
	} {
		if got := test.result.String(); got != test.want {
			t.Errorf("%+v: %q, want %q", test.result, got, test.want)
		}
	}
}

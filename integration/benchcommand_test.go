package integration

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/larderbuild/larder/backend/open"
	"github.com/larderbuild/larder/bench"
	"github.com/larderbuild/larder/testserver"
)

// benched is a module that imports nothing of the standard library, and all
// that larder bench may write to.
type benched struct {
	work   string // the module
	edited string // a file of it
	temp   string // for temporary files
	remote string // a folder, as a remote
	env    []string
}

const benchedPackages = 12

func newBenched(t *testing.T) *benched {
	t.Helper()
	c := &chained{dir: t.TempDir()}
	c.write(t, "go.mod", "module example.com/benched\n\ngo 1.26\n")
	for i := range benchedPackages {
		name, before := fmt.Sprintf("p%02d", i), fmt.Sprintf("p%02d", i-1)
		source := fmt.Sprintf("package %s\n\nconst Text = %q\n", name, name)
		if i > 0 {
			source = fmt.Sprintf("package %s\n\nimport \"example.com/benched/%s\"\n\nconst Text = %s.Text\n", name, before, before)
		}
		c.write(t, filepath.Join(name, name+".go"), source)
	}
	c.write(t, filepath.Join("p05", "p05_test.go"), "package p05\n")
	b := &benched{work: c.dir, edited: filepath.Join("p05", "p05.go"), temp: t.TempDir(), remote: t.TempDir()}
	if err := os.WriteFile(filepath.Join(b.remote, "other"), []byte("somebody else's"), 0o600); err != nil {
		t.Fatal(err)
	}
	then := time.Unix(1_700_000_000, 123_456_789)
	path := filepath.Join(b.work, b.edited)
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(path, then, then); err != nil {
		t.Fatal(err)
	}
	// The go command's configuration names a helper, against which an empty
	// variable does nothing.
	config := filepath.Join(t.TempDir(), "goenv")
	if err := os.WriteFile(config, []byte("GOCACHEPROG=/missing/helper\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	b.env = environ("GOENV="+config,
		"TMPDIR="+b.temp, "TMP="+b.temp, "TEMP="+b.temp, "LARDER_DIR="+filepath.Join(t.TempDir(), "never"),
		"LARDER_REMOTE=file:///"+strings.TrimPrefix(filepath.ToSlash(b.remote), "/"))
	return b
}

func (b *benched) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, larder, append([]string{"bench"}, args...)...)
	cmd.Dir, cmd.Env = b.work, b.env
	return cmd
}

// state describes the module and the remote, to the last byte, mode and time.
func (b *benched) state(t *testing.T) (state []string) {
	t.Helper()
	for _, dir := range []string{b.work, b.remote} {
		err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
			if err != nil || e.IsDir() {
				return err
			}
			info, err := e.Info()
			if err == nil {
				state = append(state, fmt.Sprintf("%s %v %v %q", path, info.Mode(), info.ModTime(), readFile(t, path)))
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return state
}

// checkClean fails the test unless all is as it was.
func (b *benched) checkClean(t *testing.T, before []string) {
	t.Helper()
	if after := b.state(t); !slices.Equal(before, after) {
		t.Errorf("it was\n%s\nand is\n%s", strings.Join(before, "\n"), strings.Join(after, "\n"))
	}
	for dir, want := range map[string]int{b.temp: 0, b.remote: 1} {
		if left, err := os.ReadDir(dir); err != nil || len(left) != want {
			t.Errorf("in %s: %v, %v", dir, left, err)
		}
	}
}

// TestBench runs all scenarios once, in a module and with a remote of which
// nothing may change.
func TestBench(t *testing.T) {
	t.Parallel()
	b := newBenched(t)
	before := b.state(t)
	chart := filepath.Join(t.TempDir(), "chart.svg")
	cmd := b.command(t.Context(), "-n", "1", "--latency", "1ms", "--edit", b.edited, "--plot", chart, "--json", "--", "go", "build", "./...")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	stdout, err := cmd.Output()
	if err != nil || stderr.Len() > 0 {
		t.Fatalf("larder bench: %v\n%s%s", err, stdout, stderr.String())
	}
	b.checkClean(t, before)
	if svg := readFile(t, chart); !strings.HasPrefix(string(svg), "<svg") {
		t.Errorf("the chart begins %.60s", svg)
	}

	var report bench.Report
	if err := json.Unmarshal(stdout, &report); err != nil {
		t.Fatal(err)
	}
	results := make(map[string]bench.Result)
	for _, r := range report.Results {
		results[r.Scenario] = r
		if r.Median <= 0 || len(r.Runs) != 1 {
			t.Errorf("%+v", r)
		}
	}
	for _, name := range []string{
		"native cold", "larder cold, remote empty", "native warm", "larder local warm", "floor", "larder remote warm", "larder remote warm, all bytes",
		"entry per request", "tarball", "native warm, edited", "larder remote warm, edited", "larder remote warm, all bytes, edited",
	} {
		if _, ok := results[name]; !ok {
			t.Errorf("no %s in %s", name, stdout)
		}
	}
	warm, each := results["larder remote warm"], results["entry per request"]
	if warm.Requests < 1 || each.Requests < benchedPackages || warm.Requests*2 > each.Requests {
		t.Errorf("%d requests, and %d without prefetch", warm.Requests, each.Requests)
	}
	for _, name := range []string{"floor", "larder remote warm", "entry per request", "tarball"} {
		if results[name].BytesIn == 0 {
			t.Errorf("%s: nothing came from the remote", name)
		}
	}
	// What was edited, and the seven packages that import it, are new.
	if edited := results["larder remote warm, edited"]; edited.BytesOut <= warm.BytesOut {
		t.Errorf("after an edit %d bytes are uploaded, before %d", edited.BytesOut, warm.BytesOut)
	}
}

// TestBenchServer checks that a bucket is as empty after larder bench as it was
// before.
func TestBenchServer(t *testing.T) {
	server := testserver.S3(t)
	server.Setenv(t)
	server.Bucket(t, "bucket")
	b := newBenched(t)
	b.env = append(b.env, append(server.Environ(), "LARDER_REMOTE="+server.URL("bucket", "/prefix"))...)
	out, err := b.command(t.Context(), "-n", "2", "--", "go", "build", "./...").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "larder remote warm") {
		t.Fatalf("larder bench: %v\n%s", err, out)
	}
	store, err := open.Store(t.Context(), server.URL("bucket", ""))
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	for obj, err := range store.List(t.Context(), "") {
		t.Errorf("left behind: %s, %v", obj.Key, err)
	}
}

func TestBenchUsage(t *testing.T) {
	t.Parallel()
	b := newBenched(t)
	before := b.state(t)
	for _, test := range []struct {
		name string
		args []string
		want string
	}{
		{"no command", nil, "must follow --"},
		{"not the go command", []string{"--", "make", "all"}, `"make" is not the go command`},
		{"a go command that is not there", []string{"--", "./go", "build"}, "./go"},
		{"not a build", []string{"--", "go", "clean", "-cache"}, "one of build"},
		{"nothing to build", []string{"--", "go"}, "one of build"},
		{"elsewhere", []string{"--", "go", "build", "-C", "..", "."}, "-C"},
		{"no runs", []string{"-n", "0", "--", "go", "build"}, "-n is 0"},
		{"a number of runs that is none", []string{"-n", "x", "--", "go", "build"}, "-n"},
		{"latency", []string{"--latency", "20", "--", "go", "build"}, "want a duration"},
		{"bandwidth", []string{"--bandwidth", "wide", "--", "go", "build"}, "want a size"},
		{"a missing file", []string{"--edit", "missing.go", "--", "go", "build"}, "missing.go"},
		{"a folder", []string{"--edit", "p05", "--", "go", "build"}, "want a file of Go source"},
		{"a file of a test", []string{"--edit", filepath.Join("p05", "p05_test.go"), "--", "go", "build", "./p05"}, "not part of the build"},
		{"a file of another package", []string{"--edit", b.edited, "--", "go", "build", "./p04"}, "not part of the build"},
		{"a remote that must not be written", []string{"--readonly=true", "--", "go", "build"}, "LARDER_READONLY"},
		{"an overlay besides", []string{"--edit", b.edited, "--", "go", "build", "-overlay=x"}, "-overlay"},
		{"no folder for the chart", []string{"--plot", "missing/chart.svg", "--", "go", "build"}, "there is no folder"},
	} {
		t.Run(test.name, func(t *testing.T) {
			cmd := b.command(t.Context(), test.args...)
			out, _ := cmd.CombinedOutput()
			if status := cmd.ProcessState.ExitCode(); status != 2 || !strings.Contains(string(out), test.want) {
				t.Errorf("exit status %d\n%s", status, out)
			}
			b.checkClean(t, before)
		})
	}
	t.Run("a build that fails", func(t *testing.T) {
		cmd := b.command(t.Context(), "--", "go", "build", "./missing")
		out, _ := cmd.CombinedOutput()
		if status := cmd.ProcessState.ExitCode(); status != 1 || !strings.Contains(string(out), "missing") {
			t.Errorf("exit status %d\n%s", status, out)
		}
		b.checkClean(t, before)
	})
}

package integration

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/larderbuild/larder/cache"
	"github.com/larderbuild/larder/integration/harness"
)

// larder is the path of the program under test, which TestMain builds: with the race
// detector where whole is set.
var larder string

// whole is set where LARDER_TEST_ALL is: a test then tries every row of its table,
// every version of the go command, and so on. Without it, it tries one row for each
// reason that the table has.
var whole = os.Getenv("LARDER_TEST_ALL") != ""

func TestMain(m *testing.M) {
	status, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		status = 1
	}
	os.Exit(status)
}

func run(m *testing.M) (int, error) {
	defer inMemory()()
	dir, err := os.MkdirTemp("", "larder-integration-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	// Many tests wait for a process or a timeout, so more of them than there are cores
	// run at once.
	flag.Parse()
	if f := flag.Lookup("test.parallel"); f.Value.String() == f.DefValue {
		if err := f.Value.Set(strconv.Itoa(3 * runtime.GOMAXPROCS(0))); err != nil {
			return 0, err
		}
	}
	larder = filepath.Join(dir, "larder"+exe)
	var flags []string
	if whole {
		flags = []string{"-race"}
		// A report goes to a file, since a process in the background has no output.
		// Without the other setting every process would sleep for a second at its end.
		os.Setenv("GORACE", "atexit_sleep_ms=0 log_path="+filepath.Join(dir, "race"))
	}
	if err := harness.BuildLarder(larder, flags...); err != nil {
		return 0, err
	}
	status := m.Run()
	reports, err := filepath.Glob(filepath.Join(dir, "race.*"))
	for _, report := range reports {
		text, _ := os.ReadFile(report)
		err = errors.Join(err, fmt.Errorf("larder has a data race:\n%s", text))
	}
	return status, err
}

// exe ends the names of programs.
var exe = harness.Exe

// plainLarder returns a larder without the race detector: for what that would distort,
// and for many rows that have the same goroutines.
func plainLarder(t testing.TB) string {
	t.Helper()
	if !whole {
		return larder
	}
	file, err := buildPlain()
	if err != nil {
		t.Fatal(err)
	}
	return file
}

var buildPlain = sync.OnceValues(func() (string, error) {
	file := filepath.Join(filepath.Dir(larder), "plain"+exe)
	return file, harness.BuildLarder(file)
})

// environ returns this process's environment without what would turn the go
// command or larder, and with extra.
func environ(extra ...string) []string { return harness.Environ(extra...) }

// machine is a place to build with larder: a local tier and settings. Two
// machines that build in the same folder stand for two checkouts under the
// same path.
type machine struct {
	t       testing.TB
	dir     string   // LARDER_DIR
	work    string   // where commands run
	env     []string // for every command
	version string   // GOTOOLCHAIN; "" for the go command that runs the tests
}

// newMachine returns a machine with an empty local tier. It waits for its
// uploads at the end of each command; settings ("LARDER_X=y") come after that
// and win.
func newMachine(t testing.TB, work, remote string, settings ...string) *machine {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "larder")
	// The go command keeps a few things beside what it gives to a helper, such
	// as when test results expired.
	env := environ("GOCACHEPROG="+larder, "GOCACHE="+filepath.Join(t.TempDir(), "gocache"),
		"LARDER_DIR="+dir, "LARDER_REMOTE="+remote,
		"LARDER_STATS=json", "LARDER_CLOSE=wait", "GOFLAGS=-buildvcs=false")
	m := &machine{t: t, dir: dir, work: work, env: append(env, settings...)}
	t.Cleanup(func() {
		// A process in the background must not meet the end of the test,
		// whose context is done already.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Minute)
		defer cancel()
		m.await(m.command(ctx, larder, "flush"))
	})
	return m
}

// result is what one command came to.
type result struct {
	stdout, stderr string // without the stats
	status         int
	took           time.Duration
	stats          cache.Summary // added up over its sessions
	sessions       int
}

// fromRemote returns how many hits the remote gave, one way or the other.
func (r result) fromRemote() int64 { return r.stats.PrefetchHits + r.stats.RemoteHits }

// command prepares a command on m that ends with ctx at the latest.
func (m *machine) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = m.work
	cmd.Env = m.env
	if m.version != "" {
		cmd.Env = append(slices.Clone(m.env), "GOTOOLCHAIN="+m.version)
	}
	return cmd
}

// try runs a command on m, however it ends.
func (m *machine) try(name string, args ...string) result {
	m.t.Helper()
	return m.await(m.command(m.t.Context(), name, args...))
}

func (m *machine) await(cmd *exec.Cmd) result {
	m.t.Helper()
	return m.start(cmd)()
}

// start starts a command, and returns what waits for its end.
func (m *machine) start(cmd *exec.Cmd) (wait func() result) {
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	start := time.Now()
	err := cmd.Start()
	return func() result {
		if err == nil {
			err = cmd.Wait()
		}
		return m.outcome(cmd, err, start, &stdout, &stderr)
	}
}

func (m *machine) outcome(cmd *exec.Cmd, err error, start time.Time, stdout, stderr *bytes.Buffer) result {
	m.t.Helper()
	r := result{stdout: stdout.String(), took: time.Since(start)}
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		r.status = exit.ExitCode()
	case err != nil:
		m.t.Fatalf("%v: %v", cmd.Args, err)
	}
	// go test -cover runs a go command of its own, and prints both its outputs.
	r.stdout = r.count(r.stdout)
	r.stderr = r.count(stderr.String())
	return r
}

// count adds up the stats in output and returns output without them.
func (r *result) count(output string) string {
	rest, sum, sessions := harness.Counts(output)
	r.stats = r.stats.Plus(sum)
	r.sessions += sessions
	return rest
}

// must runs a command on m and fails the test unless it succeeds.
func (m *machine) must(name string, args ...string) result {
	m.t.Helper()
	r := m.try(name, args...)
	if r.status != 0 {
		m.t.Fatalf("%s %s: exit status %d\n%s%s", name, strings.Join(args, " "), r.status, r.stdout, r.stderr)
	}
	return r
}

// larder runs a command of larder itself on m.
func (m *machine) larder(args ...string) result {
	m.t.Helper()
	return m.try(larder, args...)
}

// compiles returns the compile actions in what a go command printed with -x.
func (r result) compiles() []string { return harness.Compiles(r.stderr) }

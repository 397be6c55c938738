package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/larderbuild/larder/integration/harness"
)

// grace is how long the output of a command that was killed is waited for.
const grace = 5 * time.Second

// place is where and how commands run.
type place struct {
	work string   // working directory
	temp string   // TMPDIR; programs and other files go there, too
	env  []string // beside that of harness.Environ
}

// command returns a command in p that ends with ctx.
func (p place) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = p.work
	cmd.WaitDelay = grace
	cmd.Env = harness.Environ(slices.Concat([]string{"TMPDIR=" + p.temp, "GOFLAGS=-buildvcs=false", "CGO_ENABLED=0"}, p.env)...)
	return cmd
}

// goCommand runs the go command for goal, for at most limit, with more settings. It
// calls started, unless that is nil, once the command runs.
func (p place) goCommand(ctx context.Context, goal string, limit time.Duration, settings []string, started func(*os.Process)) (outcome, error) {
	dir, err := os.MkdirTemp(p.temp, "out-")
	if err != nil {
		return outcome{}, err
	}
	defer os.RemoveAll(dir)
	args := strings.Split(goal, " ")
	if goal == exports {
		args = []string{"list", "-e", "-export", "-f", "{{.ImportPath}}\t{{.Export}}", "./..."}
	}
	program := ""
	if i := slices.Index(args, "OUT"); i >= 0 {
		program = filepath.Join(dir, "program"+harness.Exe)
		args[i] = program
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	cmd := p.command(ctx, "go", args...)
	cmd.Env = append(cmd.Env, settings...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	begun := time.Now()
	if err := cmd.Start(); err != nil {
		return outcome{}, err
	}
	if started != nil {
		started(cmd.Process)
	}
	err = cmd.Wait()
	took := time.Since(begun)
	var exit *exec.ExitError
	hung := ctx.Err() == context.DeadlineExceeded || errors.Is(err, exec.ErrWaitDelay)
	if err != nil && !hung && !errors.As(err, &exit) {
		return outcome{}, err
	}
	o, err := newOutcome(cmd.ProcessState.ExitCode(), stdout.String(), stderr.String(), program, goal == exports)
	o.took, o.hung = took, hung
	return o, err
}

// machine is a place with larder, and with a local tier.
type machine struct {
	place
	name     string
	programs []string // that may run here as larder; the first is the usual one
	tier     harness.Tier
}

// newMachine returns a machine whose local tier begins with what stocks hold.
func newMachine(dir, name, work string, programs []string, settings []string, stocks ...string) (*machine, error) {
	m := &machine{name: name, programs: programs}
	m.work, m.temp = work, filepath.Join(dir, name+".tmp")
	m.tier.Dir = filepath.Join(dir, name)
	m.env = slices.Concat([]string{
		"GOCACHEPROG=" + programs[0], "LARDER_DIR=" + m.tier.Dir, "GOCACHE=" + filepath.Join(dir, name+".gocache"),
		"LARDER_STATS=json",
		"LARDER_BUDGET=" + budget.String(), "LARDER_TIMEOUT=" + timeout.String(),
		"LARDER_CLOSE_TIMEOUT=" + closeTimeout.String(), "LARDER_LINGER=" + linger.String(),
		"GORACE=atexit_sleep_ms=0",
	}, settings)
	err := errors.Join(os.MkdirAll(m.temp, 0o777), os.MkdirAll(m.tier.Dir, 0o700))
	if err == nil {
		err = harness.Lend(m.tier.Dir, stocks...)
	}
	return m, err
}

// The settings of machines are such that faults are felt and builds are short.
const (
	budget       = time.Second
	timeout      = 2 * time.Second
	closeTimeout = 2 * time.Second
	linger       = 20 * time.Second
)

// flushLimit is how long a flush over a healthy remote may take.
const flushLimit = 2 * time.Minute

// flush runs larder flush, and returns what it said if that failed.
func (m *machine) flush(ctx context.Context, settings ...string) error {
	ctx, cancel := context.WithTimeout(ctx, flushLimit)
	defer cancel()
	cmd := m.command(ctx, m.programs[0], "flush")
	cmd.Env = append(cmd.Env, settings...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return errors.New("larder flush: " + err.Error() + "\n" + indent(strings.TrimSpace(string(out))))
	}
	return nil
}

// leftovers returns what sessions that are over have left on m.
func (m *machine) leftovers() (left []string, err error) {
	left, err = filepath.Glob(filepath.Join(m.tier.Dir, "larder", "journals", "*-*-*-*"))
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(filepath.Join(m.tier.Dir, "larder", "sessions"))
	if errors.Is(err, os.ErrNotExist) {
		return left, nil
	}
	for _, e := range entries {
		files, _ := os.ReadDir(filepath.Join(m.tier.Dir, "larder", "sessions", e.Name()))
		text := e.Name() + ":"
		for _, f := range files {
			size := int64(0)
			if info, err := f.Info(); err == nil {
				size = info.Size()
			}
			text += " " + f.Name() + " (" + strconv.FormatInt(size, 10) + " bytes)"
		}
		left = append(left, text)
	}
	return left, err
}

// Command history replays the commits of a module's git repository as CI would build them,
// with LARDER_OBJECTS=all and with none, and prints what both cost:
//
//	go run ./integration/history -repo DIR -commits 30
//
// For each commit it runs several jobs, each on a machine of its own, with a profile of its
// own. One of them, in turn, is that of a pull request: it runs first, and writes a scope of
// its own. The remotes are directories, which are empty at the beginning. An interrupt ends
// the replay, and what was done by then is printed.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"

	"github.com/larderbuild/larder/integration/harness"
)

// options are what the command line says.
type options struct {
	repo    string // folder of the repository
	rev     string // the last commit
	commits int    // how many commits are replayed
	jobs    jobs
	larder  string // program to try; "" to build it
}

// job is what CI runs for each commit.
type job struct {
	name string // of its profile
	args []string
}

// jobs is a flag that may be given several times, as NAME=ARGUMENTS.
type jobs []job

func (j *jobs) String() string { return "" }

func (j *jobs) Set(value string) error {
	name, args, ok := strings.Cut(value, "=")
	if !ok || name == "" || len(strings.Fields(args)) == 0 {
		return errors.New(`want NAME=ARGUMENTS, as in "vet=vet ./..." for go vet`)
	}
	*j = append(*j, job{name, strings.Fields(args)})
	return nil
}

// usualJobs are those of a module whose CI builds, vets and tests.
var usualJobs = jobs{
	{"build", []string{"build", "./..."}},
	{"vet", []string{"vet", "./..."}},
	{"test", []string{"test", "./..."}},
}

func main() {
	opts, err := parse(os.Args[1:], os.Stderr)
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "history:", err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err = run(ctx, opts, os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "history:", err)
		os.Exit(1)
	}
}

// parse reads the command line. Errors say what is allowed.
func parse(args []string, help io.Writer) (options, error) {
	var o options
	flags := flag.NewFlagSet("history", flag.ContinueOnError)
	flags.SetOutput(help)
	flags.StringVar(&o.repo, "repo", ".", "`folder` of the repository, with a go.mod")
	flags.StringVar(&o.rev, "rev", "HEAD", "the last `commit`")
	flags.IntVar(&o.commits, "commits", 30, "`number` of commits that change Go files")
	flags.Var(&o.jobs, "job", "`NAME=ARGUMENTS` of the go command; may be given several times (default: build, vet and test of ./...)")
	flags.StringVar(&o.larder, "larder", "", "`file` of the program to try (default: the one in this module, built now)")
	err := flags.Parse(args)
	switch {
	case err != nil:
		return o, err
	case flags.NArg() > 0:
		return o, fmt.Errorf("unknown argument %q; there are only flags", flags.Arg(0))
	case o.commits < 1:
		return o, errors.New("-commits must be 1 or more")
	}
	if len(o.jobs) == 0 {
		o.jobs = usualJobs
	}
	return o, nil
}

// run replays the history for both values of LARDER_OBJECTS, and prints a table to out.
func run(ctx context.Context, o options, out io.Writer) (err error) {
	dir, err := os.MkdirTemp("", "larder-history-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	r := replay{options: o, dir: dir, work: filepath.Join(dir, "work")}
	if r.larder == "" {
		r.larder = filepath.Join(dir, "larder"+harness.Exe)
		if err := harness.BuildLarder(r.larder); err != nil {
			return err
		}
	}
	if _, err := git(ctx, "clone", "--quiet", "--shared", "--no-checkout", o.repo, r.work); err != nil {
		return err
	}
	hashes, err := commits(ctx, o)
	if err != nil {
		return err
	}
	all, none := newHistory("all", dir), newHistory("none", dir)
	for i, hash := range hashes {
		err := r.play(ctx, i, hash, all, none)
		switch {
		case ctx.Err() != nil:
			fmt.Fprintf(os.Stderr, "interrupted in commit %d of %d\n", i+1, len(hashes))
			return print(out, all, none)
		case err != nil:
			return err
		}
		fmt.Fprintf(os.Stderr, "%d of %d commits\n", i+1, len(hashes))
	}
	return print(out, all, none)
}

// commits returns the commits to replay, the oldest first.
func commits(ctx context.Context, o options) ([]string, error) {
	out, err := git(ctx, "-C", o.repo, "rev-list", "--first-parent", "--reverse", fmt.Sprintf("--max-count=%d", o.commits), o.rev, "--", "*.go")
	hashes := strings.Fields(out)
	if err == nil && len(hashes) == 0 {
		err = fmt.Errorf("%s has no commits that change Go files", o.repo)
	}
	return hashes, err
}

// git runs git and returns what it prints.
func git(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "git", args...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		err = fmt.Errorf("git %s: %w\n%s", strings.Join(args, " "), err, stderr.String())
	}
	return string(out), err
}

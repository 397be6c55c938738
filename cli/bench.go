package cli

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/urfave/cli/v3"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/backend/dir"
	"github.com/larderbuild/larder/backend/open"
	"github.com/larderbuild/larder/bench"
	"github.com/larderbuild/larder/cache"
	"github.com/larderbuild/larder/localdisk"
	"github.com/larderbuild/larder/session"
)

// benchLatency is how far away the remote of larder bench is where it is a
// directory and nothing else is asked for.
const benchLatency = 20 * time.Millisecond

func (p *program) benchCommand() *cli.Command {
	return &cli.Command{
		Name:      "bench",
		Usage:     "measure what larder gives to a build",
		ArgsUsage: "-- go build ./...",
		Description: "Runs the command in turn without a cache, with the go command's own, and with larder on a\n" +
			"machine that has nothing but the remote, and compares the times. The remote is a directory\n" +
			"in which each request takes 20 ms, or what --remote names: there everything is written below\n" +
			"a prefix of its own. Nothing is left behind, there and in the folder for temporary files\n" +
			"(TMPDIR), which takes about ten times what the build's cache does.",
		Flags: []cli.Flag{
			jsonFlag(),
			&cli.IntFlag{Name: "n", Value: 3, Usage: "how often each scenario is run"},
			&cli.StringFlag{Name: "edit", Usage: "`FILE` of Go source; measure, too, how the build goes after a change to it. The file itself is not touched"},
			&cli.StringFlag{Name: "latency", Usage: "by how much each request to the remote is delayed", DefaultText: "20ms without --remote, else 0"},
			&cli.StringFlag{Name: "bandwidth", Usage: "bytes a second that go to the remote and come from it, such as 10MiB", DefaultText: "no limit"},
			&cli.StringFlag{Name: "plot", Usage: "write a bar chart to `FILE`, as SVG"},
		},
		Action: p.configured(p.bench),
	}
}

func (p *program) bench(ctx context.Context, cmd *cli.Command, s settings) (err error) {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	edit, err := checkBench(cmd, &s)
	if err != nil {
		return &usageError{err, "for example: larder bench -- go build ./..."}
	}
	helper, err := os.Executable()
	if err != nil {
		return err
	}
	remote, shown := "", "a directory"
	if s.remote != "" {
		shown = open.Redact(s.remote)
		if remote, err = below(s.remote, "bench-"+strings.ToLower(rand.Text())); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, removeIfDir(remote)) }()
	}
	cfg := p.benchConfig(cmd, s)
	cfg.Helper, cfg.Remote, cfg.Edit = helper, remote, edit
	bar := p.progress("")
	cfg.Begin = func(what string, done, total int) {
		bar.ChangeMax(total) // first: a bar of 0 steps is one that has ended
		_ = bar.Set(done)    // a bar that can't be drawn is no harm
		bar.Describe(what)
	}
	results, err := bench.Run(ctx, cfg)
	_ = bar.Clear()
	command := strings.Join(cfg.Command, " ")
	switch {
	case errors.Is(err, bench.ErrNotBuilt):
		return &usageError{fmt.Errorf("--edit: %w", err), "it takes a file that " + command + " compiles"}
	case err != nil && ctx.Err() != nil:
		return fmt.Errorf("interrupted: %w", err)
	case err != nil:
		return err
	}
	report := &bench.Report{
		Command: command, Remote: shown,
		Latency: s.latency, Bandwidth: s.bandwidth, Repeat: cfg.Repeat, Results: results,
	}
	if err := p.print(cmd, report); err != nil {
		return err
	}
	if path := cmd.String("plot"); path != "" {
		return plot(path, report)
	}
	return nil
}

// benchConfig returns how s has cmd's arguments measured.
func (p *program) benchConfig(cmd *cli.Command, s settings) bench.Config {
	log := newLog(p.stderr, slog.LevelWarn)
	return bench.Config{
		Command: cmd.Args().Slice(),
		Environ: slices.Concat(p.environ, environ(cmd), []string{
			"LARDER_BENCH_LATENCY=" + s.latency.String(),
			fmt.Sprintf("LARDER_BENCH_BANDWIDTH=%d", s.bandwidth),
			"LARDER_TRUST=", // what is measured is its own
		}),
		Repeat: cmd.Int("n"),
		Open: func(url string, counters *backend.Counters) backend.Store {
			return openRemote(url, s, counters, log)
		},
		Restore: func(ctx context.Context, dir, url string, store backend.Store) error {
			s.remote = url
			cfg := s.engine(localdisk.New(dir), new(cache.Stats), log)
			restored, err := cache.Restore(ctx, cfg, store, s.target())
			if err == nil && restored.Entries == 0 {
				err = errors.New("the build before it has left nothing in the remote")
			}
			return err
		},
		Warn: func(line string) { _, _ = fmt.Fprintln(p.stderr, line) },
	}
}

// checkBench checks what is to be measured, completes s, and returns the
// absolute path of the file to edit.
func checkBench(cmd *cli.Command, s *settings) (edit string, err error) {
	if err := checkGoCommand(cmd.Args().Slice()); err != nil {
		return "", err
	}
	if n := cmd.Int("n"); n < 1 {
		return "", fmt.Errorf("-n is %d: want 1 or more", n)
	}
	if s.readOnly && s.remote != "" {
		return "", errors.New("LARDER_READONLY (or --readonly) is true, but larder bench has to write to the remote")
	}
	s.readOnly, s.policy.Trust = false, nil
	if s.remote == "" {
		s.latency = benchLatency
	}
	if v := cmd.String("latency"); v != "" {
		if err := parseDuration(&s.latency, v); err != nil {
			return "", fmt.Errorf("--latency is %q: %w", v, err)
		}
	}
	if v := cmd.String("bandwidth"); v != "" {
		if err := parseSize(&s.bandwidth, v); err != nil {
			return "", fmt.Errorf("--bandwidth is %q: %w", v, err)
		}
	}
	if s.profileHere() == (session.Profile{}) {
		return "", errors.New("there is no go.mod here, nor in a folder above")
	}
	if path := cmd.String("plot"); path != "" {
		if info, err := os.Stat(filepath.Dir(path)); err != nil || !info.IsDir() {
			return "", fmt.Errorf("--plot is %q: there is no folder %s", path, filepath.Dir(path))
		}
	}
	file := cmd.String("edit")
	if file == "" {
		return "", nil
	}
	if info, err := os.Stat(file); err != nil {
		return "", fmt.Errorf("--edit: %w", err)
	} else if !info.Mode().IsRegular() || filepath.Ext(file) != ".go" {
		return "", fmt.Errorf("--edit is %q: want a file of Go source", file)
	}
	if strings.Contains(strings.Join(cmd.Args().Slice(), " "), "-overlay") {
		return "", errors.New("--edit: the command must not have an -overlay of its own")
	}
	return filepath.Abs(file)
}

// checkGoCommand reports whether a command is one of the go command that can be
// repeated and uses the build cache.
func checkGoCommand(command []string) error {
	if len(command) == 0 {
		return errors.New("what is to be measured? a go command must follow --")
	}
	name := strings.TrimSuffix(filepath.Base(command[0]), ".exe")
	if name != "go" && name != "gotip" && !strings.HasPrefix(name, "go1") {
		return fmt.Errorf("%q is not the go command", command[0])
	}
	if _, err := exec.LookPath(command[0]); err != nil {
		return err
	}
	allowed := []string{"build", "install", "list", "run", "test", "vet"}
	if len(command) < 2 || !slices.Contains(allowed, command[1]) {
		return fmt.Errorf("%s: want go and one of %s", strings.Join(command, " "), strings.Join(allowed, ", "))
	}
	if len(command) > 2 && strings.HasPrefix(strings.TrimLeft(command[2], "-"), "C") {
		return errors.New("-C: run larder bench in that folder instead")
	}
	return nil
}

// environ returns the options that are given to cmd, as variables.
func environ(cmd *cli.Command) (variables []string) {
	for _, o := range options() {
		if v := cmd.String(o.flag); v != "" {
			variables = append(variables, o.variable()+"="+v)
		}
	}
	return variables
}

// below returns the URL of the part of a store below a further prefix.
func below(rawURL, prefix string) (string, error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		return "", err
	}
	return u.JoinPath(prefix).String(), nil
}

// removeIfDir removes what is left of an emptied store that is a directory.
func removeIfDir(rawURL string) error {
	if cfg, err := dir.ParseConfig(rawURL); err == nil && strings.HasPrefix(rawURL, "file:") {
		return os.RemoveAll(cfg.Dir)
	}
	return nil
}

func plot(path string, report *bench.Report) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(report.Plot(file), file.Close())
}

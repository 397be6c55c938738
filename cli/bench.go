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

	urfave "github.com/urfave/cli/v3"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/backend/dir"
	"github.com/larderbuild/larder/backend/open"
	"github.com/larderbuild/larder/bench"
	"github.com/larderbuild/larder/cache"
	"github.com/larderbuild/larder/localdisk"
	"github.com/larderbuild/larder/protocol"
	"github.com/larderbuild/larder/session"
)

// benchLatency is the delay of each request where the remote of larder bench is a
// directory and nobody asked for another delay.
const benchLatency = 20 * time.Millisecond

func (p *program) benchCommand() *urfave.Command {
	return &urfave.Command{
		Name:      "bench",
		Usage:     "measure what larder gives to a build",
		ArgsUsage: "-- go build ./...",
		Description: "Runs the command without a cache, with the go command's own, and with larder on a machine\n" +
			"that has nothing but the remote, and compares the times. The remote is a directory in which\n" +
			"each request takes 20 ms, or the store that --remote names, where larder bench writes below\n" +
			"a prefix of its own. It removes everything at the end. The folder for temporary files\n" +
			"(TMPDIR) needs about ten times the space of the build's cache.",
		Flags: []urfave.Flag{
			jsonFlag(),
			&urfave.IntFlag{Name: "n", Value: 3, Usage: "how often each scenario is run"},
			&urfave.StringFlag{Name: "edit", Usage: "`FILE` of Go source; also measure the build after a change to it. The file itself does not change"},
			&urfave.StringFlag{Name: "latency", Usage: "by how much each request to the remote is delayed", DefaultText: "20ms without --remote, else 0"},
			&urfave.StringFlag{Name: "bandwidth", Usage: "bytes a second that go to the remote and come from it, such as 10MiB", DefaultText: "no limit"},
			&urfave.StringFlag{Name: "plot", Usage: "write a bar chart to `FILE`, as SVG"},
		},
		Action: p.configured(p.bench),
	}
}

func (p *program) bench(ctx context.Context, cmd *urfave.Command, s settings) (err error) {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	s, err = benchSettings(cmd, s)
	var edit string
	if err == nil {
		edit, err = checkFiles(cmd)
	}
	if err != nil {
		return &usageError{err, "for example: larder bench -- go build ./..."}
	}
	helper, err := os.Executable()
	if err != nil {
		return err
	}
	remote, shown := "", "a directory"
	if s.target.Remote != "" {
		shown = open.Redact(s.target.Remote)
		if remote, err = withPrefix(s.target.Remote, "bench-"+strings.ToLower(rand.Text())); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, removeIfDir(remote)) }()
	}
	cfg := p.benchConfig(cmd, s)
	cfg.Helper, cfg.Remote, cfg.Edit = helper, remote, edit
	bar := p.newBar("")
	cfg.Begin = func(what string, done, total int) {
		bar.ChangeMax(total) // first: a bar of 0 steps is one that has ended
		_ = bar.Set(done)
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

// benchConfig returns what bench.Run has to know to measure cmd's arguments.
func (p *program) benchConfig(cmd *urfave.Command, s settings) bench.Config {
	log := newLog(p.stderr, slog.LevelWarn)
	return bench.Config{
		Command: cmd.Args().Slice(),
		Environ: slices.Concat(p.environ, givenVariables(cmd), []string{
			"LARDER_BENCH_LATENCY=" + s.latency.String(),
			fmt.Sprintf("LARDER_BENCH_BANDWIDTH=%d", s.bandwidth),
			"LARDER_TRUST=", // only the benchmark writes to the remote
		}),
		Repeat:    cmd.Int("n"),
		PacksOnly: s.objects == objectsNone,
		Open: func(url string, counters *backend.Counters) backend.Store {
			return openRemote(url, s, counters, log)
		},
		Restore: func(ctx context.Context, dir, url string, store backend.Store) error {
			with := parts{s, localdisk.New(dir), new(cache.Stats), log}
			with.target.Remote = url
			restored, err := cache.Restore(ctx, with.config(), store, with.target)
			if err == nil && restored.Entries == 0 {
				err = errors.New("the build before it has left nothing in the remote")
			}
			return err
		},
		Upload: func(ctx context.Context, dir, temp, scope string, store backend.Store) error {
			return uploadEntries(ctx, localdisk.New(dir), parts{s, localdisk.New(temp), new(cache.Stats), log}, scope, store)
		},
		Warn: func(line string) { _, _ = fmt.Fprintln(p.stderr, line) },
	}
}

// uploadEntries puts all entries of from into a scope of store, which it closes. It does so by
// a session without a profile: what nobody publishes is uploaded whole.
func uploadEntries(ctx context.Context, from *localdisk.Dir, with parts, scope string, store backend.Store) error {
	c := cache.New(cache.SessionConfig{
		Config: with.config(),
		Store:  store,
		Target: session.Target{Remote: with.target.Remote, Scope: scope},
		Upload: true,
		Defer:  true,
		Budget: time.Minute,
	})
	actions, err := from.UsedSince(time.Unix(0, 0))
	for _, action := range actions {
		err = errors.Join(err, putAgain(ctx, c, from, action))
	}
	if left := c.Close(time.Hour); err == nil && left {
		err = errors.New("entries can't be uploaded one by one")
	}
	return err
}

// putAgain puts the entry that from has of action into c.
func putAgain(ctx context.Context, c *cache.Cache, from *localdisk.Dir, action protocol.ActionID) error {
	e, path, err := from.Get(action)
	if errors.Is(err, localdisk.ErrNotFound) {
		return nil // an executable's
	}
	if err != nil {
		return err
	}
	body, err := os.Open(path)
	if err != nil {
		return err
	}
	defer body.Close()
	_, err = c.Put(ctx, protocol.Put{ActionID: action, OutputID: e.Output, Size: e.Size, Body: body})
	return err
}

// benchSettings returns s as larder bench changes it: the remote is written, all that
// is in it is trusted, and requests may be delayed. It also checks the command that
// is to be measured.
func benchSettings(cmd *urfave.Command, s settings) (settings, error) {
	if err := checkGoCommand(cmd.Args().Slice()); err != nil {
		return s, err
	}
	if n := cmd.Int("n"); n < 1 {
		return s, fmt.Errorf("-n is %d: want 1 or more", n)
	}
	if s.readOnly && s.target.Remote != "" {
		return s, errors.New("LARDER_READONLY (or --readonly) is true, but larder bench has to write to the remote")
	}
	if open.Traits(s.target.Remote).Unlisted {
		return s, fmt.Errorf("larder bench can't remove again what it writes to %s: set LARDER_REMOTE to another store, or to nothing for a directory", open.Redact(s.target.Remote))
	}
	s.readOnly, s.policy.Trust = false, nil
	if s.target.Remote == "" {
		s.latency = benchLatency
	}
	if v := cmd.String("latency"); v != "" {
		if err := parseDuration(&s.latency, v); err != nil {
			return s, fmt.Errorf("--latency is %q: %w", v, err)
		}
	}
	if v := cmd.String("bandwidth"); v != "" {
		if err := parseSize(&s.bandwidth, v); err != nil {
			return s, fmt.Errorf("--bandwidth is %q: %w", v, err)
		}
	}
	if s.target.Profile == (session.Profile{}) {
		return s, errors.New("there is no go.mod or go.work here, nor in a folder above")
	}
	return s, nil
}

// checkFiles checks --plot and --edit, and returns the absolute path of the file to
// edit, or "".
func checkFiles(cmd *urfave.Command) (edit string, err error) {
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

// checkGoCommand returns an error unless command runs the go command, can be
// repeated, and uses the build cache.
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

// givenVariables returns the options that are set for cmd, as variables.
func givenVariables(cmd *urfave.Command) (variables []string) {
	for _, o := range options() {
		if v := cmd.String(o.flag); v != "" {
			variables = append(variables, o.variable()+"="+v)
		}
	}
	return variables
}

// withPrefix returns the URL of the part of a store that has a further prefix.
func withPrefix(rawURL, prefix string) (string, error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		return "", err
	}
	return u.JoinPath(prefix).String(), nil
}

// removeIfDir removes the folders of a store that is a directory, once its objects
// are gone.
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

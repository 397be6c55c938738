package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/dustin/go-humanize"

	"github.com/larderbuild/larder/cache"
	"github.com/larderbuild/larder/integration/harness"
)

// replay is what both ways through the history have in common.
type replay struct {
	options
	dir  string
	work string // where commits are checked out
}

// history is one way through the history, with a remote of its own.
type history struct {
	objects       string // value of LARDER_OBJECTS
	remote        string // folder
	first, others cost   // of the first commit, and of the others that were played
}

// cost is what a part of the history has cost.
type cost struct {
	jobs   int
	failed int // jobs whose go command has failed
	cache.Summary
	objects int   // in the remote at the end
	stored  int64 // bytes of these
}

// newHistory returns a history whose remote is a folder in dir.
func newHistory(objects, dir string) *history {
	return &history{objects: objects, remote: filepath.Join(dir, objects)}
}

// play plays the commit with the given number and hash in each of histories. If ctx ends
// before, none of them counts it.
func (r *replay) play(ctx context.Context, number int, hash string, histories ...*history) error {
	if _, err := git(ctx, "-C", r.work, "checkout", "--quiet", "--force", "--detach", hash); err != nil {
		return err
	}
	sums := make([]cost, len(histories))
	for i, h := range histories {
		pull := number % len(r.jobs)
		for n := range r.jobs {
			j, scope := r.jobs[(pull+n)%len(r.jobs)], "main"
			if n == 0 && number > 0 {
				scope = fmt.Sprintf("pr-%d", number)
			}
			err := r.run(ctx, j, &sums[i], "LARDER_OBJECTS="+h.objects, "LARDER_SCOPE="+scope, "LARDER_REMOTE="+directoryURL(h.remote))
			if err != nil {
				return err
			}
		}
		var err error
		if sums[i].objects, sums[i].stored, err = size(h.remote); err != nil {
			return err
		}
	}
	for i, h := range histories {
		if number == 0 {
			h.first = sums[i]
		} else {
			h.others.add(sums[i])
		}
	}
	return nil
}

// add adds what a later commit has cost.
func (c *cost) add(later cost) {
	c.jobs += later.jobs
	c.failed += later.failed
	c.Summary = c.Plus(later.Summary)
	c.objects, c.stored = later.objects, later.stored
}

// run runs j on a fresh machine, with settings, and adds to sum what it costs.
func (r *replay) run(ctx context.Context, j job, sum *cost, settings ...string) error {
	machine, err := os.MkdirTemp(r.dir, "machine-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(machine)
	env := harness.Environ(slices.Concat([]string{
		"GOCACHEPROG=" + r.larder, "GOCACHE=" + filepath.Join(machine, "gocache"), "GOFLAGS=-buildvcs=false",
		"LARDER_DIR=" + filepath.Join(machine, "larder"), "LARDER_PROFILE=" + j.name,
		"LARDER_CLOSE=defer", "LARDER_STATS=json",
	}, settings)...)
	out, errBuild := r.command(ctx, env, "go", j.args...)
	rest, counts, sessions := harness.Counts(out)
	if sessions == 0 {
		return fmt.Errorf("go %s did not use larder: %w\n%s", strings.Join(j.args, " "), errBuild, out)
	}
	sum.jobs++
	if errBuild != nil {
		sum.failed++
		fmt.Fprintf(os.Stderr, "go %s: %v\n%s", strings.Join(j.args, " "), errBuild, rest)
	}
	out, err = r.command(ctx, env, r.larder, "flush", "--json")
	var flushed cache.Summary // of which flush prints a part
	if err == nil {
		err = json.Unmarshal([]byte(out), &flushed)
	}
	if err != nil {
		return fmt.Errorf("larder flush: %w\n%s", err, out)
	}
	sum.Summary = sum.Plus(counts).Plus(flushed)
	return ctx.Err()
}

// command runs a command where the commit is checked out. It returns what it prints.
func (r *replay) command(ctx context.Context, env []string, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env = r.work, env
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func directoryURL(dir string) string {
	return (&url.URL{Scheme: "file", Path: "/" + strings.TrimPrefix(filepath.ToSlash(dir), "/")}).String()
}

// size returns the number of files below dir, and their bytes.
func size(dir string) (files int, bytes int64, err error) {
	err = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			files++
			bytes += info.Size()
		}
		return err
	})
	return files, bytes, err
}

// print prints what histories have cost, their first commit apart.
func print(out io.Writer, histories ...*history) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "commit\tLARDER_OBJECTS\tjobs\tfailed\tgets\thits\tmisses\tindexes\trequests\tin\tout\tobjects stored\tbytes stored\t")
	row := func(commit string, h *history, c cost) {
		hits := c.LocalHits + c.PrefetchHits + c.RemoteHits
		fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%s\t%s\t%d\t%s\t\n", commit, h.objects, c.jobs, c.failed,
			c.Gets, hits, c.Misses, c.Indexes, c.RemoteRequests,
			humanize.IBytes(uint64(c.RemoteBytesIn)), humanize.IBytes(uint64(c.RemoteBytesOut)), c.objects, humanize.IBytes(uint64(c.stored)))
	}
	for _, h := range histories {
		row("first", h, h.first)
	}
	for _, h := range histories {
		row("others", h, h.others)
	}
	return w.Flush()
}

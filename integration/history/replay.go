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
	dir    string
	work   string // where commits are checked out
	larder string
	hashes []string
}

// cost is what a part of the history has cost.
type cost struct {
	what   string
	jobs   int
	failed int // jobs whose go command has failed
	cache.Summary
	objects int   // in the remote at the end
	stored  int64 // bytes of these
}

// play replays the history. It returns what the first commit has cost, and what the others
// have.
func (r *replay) play(ctx context.Context, objects string) (first, others cost, err error) {
	remote := filepath.Join(r.dir, objects)
	defer os.RemoveAll(remote)
	first.what, others.what = objects+", first commit", objects+", the others"
	for i, hash := range r.hashes {
		if _, err := git(ctx, "-C", r.work, "checkout", "--quiet", "--force", "--detach", hash); err != nil {
			return first, others, err
		}
		sum := &others
		if i == 0 {
			sum = &first
		}
		pull := i % len(r.jobs)
		for n := range r.jobs {
			j, scope := r.jobs[(pull+n)%len(r.jobs)], "main"
			if n == 0 && i > 0 {
				scope = fmt.Sprintf("pr-%d", i)
			}
			if err := r.run(ctx, j, sum, "LARDER_OBJECTS="+objects, "LARDER_SCOPE="+scope, "LARDER_REMOTE="+directoryURL(remote)); err != nil {
				return first, others, err
			}
		}
		fmt.Fprintf(os.Stderr, "%s: %d of %d commits\n", objects, i+1, len(r.hashes))
		if i == 0 {
			first.objects, first.stored, err = size(remote)
		}
	}
	if err == nil {
		others.objects, others.stored, err = size(remote)
	}
	return first, others, err
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

// print prints a row for each of costs.
func print(out io.Writer, costs []cost) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "LARDER_OBJECTS\tjobs\tfailed\tgets\thits\tmisses\trequests\tin\tout\tobjects stored\tbytes stored\t")
	for _, c := range costs {
		hits := c.LocalHits + c.PrefetchHits + c.RemoteHits
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%d\t%d\t%s\t%s\t%d\t%s\t\n", c.what, c.jobs, c.failed, c.Gets, hits, c.Misses, c.RemoteRequests,
			humanize.IBytes(uint64(c.RemoteBytesIn)), humanize.IBytes(uint64(c.RemoteBytesOut)), c.objects, humanize.IBytes(uint64(c.stored)))
	}
	return w.Flush()
}

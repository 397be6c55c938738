package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"

	"github.com/larderbuild/larder/integration/harness"
	"github.com/larderbuild/larder/testserver"
)

// campaign is what all rounds share.
type campaign struct {
	options
	report        *report
	home          string
	out           io.Writer
	programs      []string // larder, and larder with its clock ahead
	s3            testserver.S3Server
	actions       *testserver.ActionsServer
	baseDirectory string // a directory remote with the standard library
	stock         string // a cache directory with the standard library
	native        string // GOCACHE of builds without larder
}

const (
	bucket = "bucket"

	// What each round's remote begins with has this prefix, or is on this branch.
	base    = "base"
	baseRef = "refs/heads/base"
)

// run runs the campaign that opts describe, and writes to out what happens.
func run(ctx context.Context, opts options, out io.Writer) (*report, error) {
	dir, err := os.MkdirTemp("", "larder-campaign-")
	if err != nil {
		return nil, err
	}
	h := &host{ctx: ctx, name: "campaign", dir: dir}
	c := &campaign{options: opts, home: dir, out: out}
	c.leaveOut()
	c.report = newReport(c.kinds, out)
	defer func() { h.end(c.keep && c.report.failures() > 0) }()
	if len(c.kinds) == 0 {
		return nil, errors.New("no kind of fault is left")
	}
	if err := guard(func() error { return c.prepare(h) }); err != nil {
		return nil, err
	}
	return c.report, c.playAll(ctx)
}

// leaveOut drops the kinds of faults that this machine can't have, and says so.
func (c *campaign) leaveOut() {
	fmt.Fprintf(c.out, "campaign: seed %d\n", c.seed)
	var usable []*kind
	for _, k := range c.kinds {
		if k.lacks != nil {
			if reason := k.lacks(); reason != "" {
				fmt.Fprintf(c.out, "left out: %s: %s\n", k.name, reason)
				continue
			}
		}
		usable = append(usable, k)
	}
	c.kinds = usable
}

// prepare builds larder, starts the servers, and fills what rounds begin with.
func (c *campaign) prepare(h *host) error {
	if err := c.buildPrograms(h.TempDir()); err != nil {
		return err
	}
	c.s3 = testserver.S3(h)
	c.s3.Bucket(h, bucket)
	c.actions = testserver.Actions(h)
	c.actions.Change(func(r *testserver.ActionsRules) { r.Creations = 1 << 20 }) // rounds don't disturb each other
	work := h.TempDir()
	c.stock, c.native, c.baseDirectory = filepath.Join(c.home, "stock"), filepath.Join(c.home, "native"), filepath.Join(c.home, "base")
	if err := newModule().write(work); err != nil {
		return err
	}
	err := harness.CompileStock(c.stock, work, "", []string{"build ./...", "vet ./...", "test ./..."}, "CGO_ENABLED=0")
	if err == nil {
		err = harness.Lend(c.native, c.stock)
	}
	for i, settings := range [][]string{
		inBucket(c.s3, base), inDirectory(c.baseDirectory), inActions(c.actions.Endpoint, c.actions.Token(baseRef)),
	} {
		if err == nil {
			err = c.fill(h, work, fmt.Sprintf("filler%d", i), settings)
		}
	}
	return err
}

// fill publishes to a remote, which settings name, what go build needs of the standard
// library.
func (c *campaign) fill(h *host, work, name string, settings []string) error {
	m, err := newMachine(c.home, name, work, c.programs, settings, c.stock)
	if err != nil {
		return err
	}
	got, err := m.goCommand(h.ctx, everything, nativeLimit, []string{"LARDER_CLOSE=linger", "LARDER_BUDGET=1m"}, nil)
	if err == nil && got.status != 0 {
		err = fmt.Errorf("fill the remote: %v", got)
	}
	if err == nil {
		err = m.flush(h.ctx)
	}
	return err
}

// buildPrograms puts the program to try into dir, and next to it one with its clock
// ahead, if there is a kind of fault that wants it.
func (c *campaign) buildPrograms(dir string) error {
	usual := filepath.Join(dir, "larder"+harness.Exe)
	c.programs = []string{usual}
	if c.larder != "" {
		file, err := filepath.Abs(c.larder)
		c.programs[0] = file
		if err != nil {
			return err
		}
	} else if err := harness.BuildLarder(usual); err != nil {
		return err
	}
	for _, k := range c.kinds {
		if k.name == "clock" {
			ahead := filepath.Join(dir, "ahead"+harness.Exe)
			c.programs = append(c.programs, ahead)
			return buildAhead(dir, ahead)
		}
	}
	return nil
}

// buildAhead builds a larder whose time.Now is eight days ahead, and that is the same
// otherwise. Nothing outside the process has another clock.
func buildAhead(dir, file string) error {
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return fmt.Errorf("go env GOROOT: %w", err)
	}
	original := filepath.Join(strings.TrimSpace(string(root)), "src", "time", "time.go")
	source, err := os.ReadFile(original)
	if err != nil {
		return err
	}
	const now = "\nfunc Now() Time {\n"
	if strings.Count(string(source), now) != 1 {
		return fmt.Errorf("%s of %s has no %q", original, runtime.Version(), now)
	}
	changed := strings.Replace(string(source), now, "\nfunc Now() Time { return trueNow().Add(8 * 24 * Hour) }\n\nfunc trueNow() Time {\n", 1)
	replacement, overlay := filepath.Join(dir, "time.go"), filepath.Join(dir, "overlay.json")
	err = errors.Join(
		os.WriteFile(replacement, []byte(changed), 0o666),
		os.WriteFile(overlay, fmt.Appendf(nil, `{"Replace": {%q: %q}}`, original, replacement), 0o666))
	if err != nil {
		return err
	}
	return harness.BuildLarder(file, "-trimpath", "-overlay="+overlay)
}

// playAll plays rounds until there were as many builds as wanted.
func (c *campaign) playAll(ctx context.Context) error {
	var mu sync.Mutex
	number, builds := c.from, 0
	next := func() (plan, bool) {
		mu.Lock()
		defer mu.Unlock()
		if builds >= c.faults || ctx.Err() != nil {
			return plan{}, false
		}
		p := newPlan(c.options, number)
		number++
		builds += len(p.builds)
		return p, true
	}
	errs := make([]error, c.parallel)
	var workers sync.WaitGroup
	for i := range errs {
		workers.Go(func() {
			for p, ok := next(); ok && errs[i] == nil; p, ok = next() {
				if err := c.play(ctx, p); ctx.Err() == nil {
					errs[i] = c.judge(err, p)
				}
			}
		})
	}
	workers.Wait()
	return errors.Join(errs...)
}

// judge reports what play has returned for p, and returns what is no failure of
// larder's.
func (c *campaign) judge(err error, p plan) error {
	c.report.played()
	var wrong *failure
	switch {
	case err == nil:
		return nil
	case !errors.As(err, &wrong):
		return fmt.Errorf("round %d: %w", p.number, err)
	}
	c.report.fail(wrong.build.kind)
	c.report.print("FAIL round %d, build %d of %d\n%v\nrepeat with: go run ./integration/campaign -seed %d -from %d -faults 1%s\n",
		p.number, wrong.number+1, len(p.builds), wrong, c.seed, p.number, c.sameKinds())
	return nil
}

// sameKinds returns the flag that draws from the same kinds of faults again.
func (c *campaign) sameKinds() string {
	if len(c.kinds) == len(kinds) {
		return ""
	}
	var names []string
	for _, k := range c.kinds {
		names = append(names, k.name)
	}
	return " -kinds " + strings.Join(names, ",")
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/larderbuild/larder/integration/harness"
	"github.com/larderbuild/larder/testserver"
)

// round is a round under way.
type round struct {
	*campaign
	plan
	*host
	work     string
	folder   string // of the remote's objects; "": they are no files
	settings []string
	gate     *gate // only over S3
	link     *link // nil where the remote is a directory
	machines [2]*machine
}

// failure is what larder has done wrong. Any other error is one of the campaign's own.
type failure struct {
	build  build
	number int // of the build, from 0
	text   string
}

func (f *failure) Error() string { return fmt.Sprintf("%v\n%s", f.build, f.text) }

// wrong returns a failure whose build is still to be named.
func wrong(format string, args ...any) error { return &failure{text: fmt.Sprintf(format, args...)} }

// play plays the round of p.
func (c *campaign) play(ctx context.Context, p plan) (err error) {
	h, err := newHost(ctx, c.home, fmt.Sprintf("round%d", p.number))
	if err != nil {
		return err
	}
	r := &round{campaign: c, plan: p, host: h}
	defer func() {
		h.failed = err != nil
		r.stop()
		h.end(err != nil && c.keep)
	}()
	if err := guard(r.prepare); err != nil {
		return err
	}
	for i, b := range p.builds {
		if err := guard(func() error { return r.build(b) }); err != nil {
			return at(i, b, err)
		}
	}
	last := len(p.builds) - 1
	return at(last, p.builds[last], guard(r.finish))
}

// at names the build of a failure.
func at(number int, b build, err error) error {
	var f *failure
	if errors.As(err, &f) {
		f.number, f.build = number, b
	}
	return err
}

// prepare makes the remote and the machines.
func (r *round) prepare() error {
	r.work = filepath.Join(r.dir, "work")
	var err error
	if r.settings, err = r.newRemote(); err != nil {
		return err
	}
	for i, name := range machineNames {
		if r.machines[i], err = newMachine(r.dir, name, r.work, r.programs, r.settings, r.stock); err != nil {
			return err
		}
	}
	return os.MkdirAll(r.work, 0o777)
}

// newRemote makes the remote with what the campaign has in one at the beginning, and
// returns the variables of those who use it.
func (r *round) newRemote() ([]string, error) {
	switch r.remote {
	case onDirectory:
		r.folder = filepath.Join(r.dir, "remote")
		return inDirectory(r.folder), harness.Link(r.baseDirectory, r.folder)
	case onActions:
		r.link = &link{testserver.Proxy(r.host, r.actions.Endpoint)}
		token := r.actions.Token(fmt.Sprintf("refs/heads/round%d", r.number), baseRef)
		return inActions(r.link.Endpoint, token), nil
	}
	prefix := fmt.Sprintf("round%d", r.number)
	r.folder = filepath.Join(r.s3.Dir, bucket, prefix)
	if err := harness.Link(filepath.Join(r.s3.Dir, bucket, base), r.folder); err != nil {
		return nil, err
	}
	r.Cleanup(func() { os.RemoveAll(r.folder) })
	r.gate = newGate(r.host, r.s3.Endpoint)
	r.link = &link{testserver.Proxy(r.host, r.gate.URL)}
	near := r.s3
	near.Endpoint = r.link.Endpoint
	return inBucket(near, prefix), nil
}

// stop ends what runs in the background on the machines.
func (r *round) stop() {
	for _, m := range r.machines {
		if m != nil && lacksProcesses() == "" {
			_ = m.kill() // the folders go anyway
		}
	}
}

// build does one build, and checks it.
func (r *round) build(b build) error {
	if err := b.module.write(r.work); err != nil {
		return err
	}
	m, away, err := r.machineOf(b)
	if err != nil {
		return err
	}
	defer away()
	native := place{r.work, filepath.Dir(m.temp), []string{"GOCACHE=" + r.native}}
	want, err := native.goCommand(r.ctx, b.goal, nativeLimit, nil, nil)
	if err != nil {
		return err
	}
	if want.hung {
		return errors.New("the go command hangs without larder")
	}
	got, err := r.underFault(b, m, want.took)
	if err == nil {
		r.report.built(b.kind, got.took-want.took)
		if b.fault.kill == "larder" || b.fault.kill == "go" { // the build is a victim, too
			got.status, got.stdout, got.stderr, got.program = want.status, want.stdout, want.stderr, want.program
		}
		err = r.check(b, m, got, want)
	}
	if err != nil || b.fault.kill == "" {
		return err
	}
	// The next build finds what the victim has left.
	got, err = m.goCommand(r.ctx, b.goal, r.limit(want.took), b.settings(), nil)
	if err == nil {
		err = r.check(b, m, got, want)
	}
	return err
}

// nativeLimit is how long a build without larder may take.
const nativeLimit = 5 * time.Minute

// limit returns how long a build may take that usually takes that long.
func (c *campaign) limit(usual time.Duration) time.Duration {
	return 5*usual + budget + closeTimeout + c.allow
}

// machineOf returns the machine of b, and what takes it away after b.
func (r *round) machineOf(b build) (m *machine, away func(), err error) {
	if b.fault.disk == "" {
		return r.machines[b.machine], func() {}, nil
	}
	dir, err := os.MkdirTemp(r.dir, "disk-")
	if err != nil {
		return nil, nil, err
	}
	tier := filepath.Join(dir, "small")
	if err := os.Mkdir(tier, 0o700); err != nil {
		return nil, nil, err
	}
	unmount, err := mount(tier, b.fault.disk)
	if err != nil {
		return nil, nil, err
	}
	m, err = newMachine(dir, "small", r.work, r.programs, r.settings)
	return m, func() {
		if m != nil {
			_ = m.kill() // its journal goes with its disk
		}
		unmount()
	}, err
}

// underFault runs b on m while its fault lasts.
func (r *round) underFault(b build, m *machine, usual time.Duration) (got outcome, err error) {
	if b.fault.begin != nil {
		end, err := b.fault.begin(r, usual)
		if err != nil {
			return got, err
		}
		defer end()
	}
	settings := b.settings()
	if b.fault.ahead {
		settings = append(settings, "GOCACHEPROG="+r.programs[1])
	}
	var others sync.WaitGroup
	defer others.Wait()
	var errOther error
	if b.fault.together {
		others.Go(func() {
			other := r.machines[1-b.machine]
			_, errOther = other.goCommand(r.ctx, b.goal, r.limit(usual), settings, nil)
		})
	}
	got, err = m.goCommand(r.ctx, b.goal, r.limit(usual), settings, func(p *os.Process) {
		if b.fault.kill == "larder" || b.fault.kill == "go" {
			others.Go(func() { r.killAfter(b, m, p, usual) })
		}
	})
	if b.fault.kill == "flush" && err == nil {
		err = r.killFlush(b, m)
	}
	others.Wait()
	return got, errors.Join(err, errOther)
}

// killAfter kills one of the processes of b.
func (r *round) killAfter(b build, m *machine, p *os.Process, usual time.Duration) {
	time.Sleep(time.Duration(b.fault.at * float64(usual)))
	if b.fault.kill == "go" {
		_ = p.Kill() // it may be gone
		return
	}
	if err := m.kill(); err != nil {
		fmt.Fprintln(os.Stderr, "kill:", err)
	}
}

// killFlush kills a flush of m, and what lingers there.
func (r *round) killFlush(b build, m *machine) error {
	ctx, cancel := context.WithTimeout(r.ctx, time.Duration(b.fault.at*float64(500*time.Millisecond)))
	defer cancel()
	_ = m.command(ctx, m.programs[0], "flush").Run() // it is killed
	return m.kill()
}

// check says what is wrong about b, which came to got, and without larder to want.
func (r *round) check(b build, m *machine, got, want outcome) error {
	if r.verbose {
		r.report.print("round %d: %v; %v, without larder %v", r.number, b, got.took.Round(time.Millisecond), want.took.Round(time.Millisecond))
	}
	if got.hung {
		return wrong("it takes longer than %v, without larder %v\n%v", r.limit(want.took), want.took, got)
	}
	for _, line := range append(got.larder, got.stderr) {
		if strings.Contains(line, "panic:") || strings.Contains(line, "DATA RACE") {
			return wrong("larder panics or has a race\n%v", got)
		}
	}
	if text := got.difference(want); text != "" {
		return wrong("%s\n%v", text, got)
	}
	damage := m.tier.Damage()
	// An action without a body is a miss, and trimming may be under way.
	damage = slices.DeleteFunc(damage, func(err error) bool { return errors.Is(err, fs.ErrNotExist) })
	if err := errors.Join(damage...); err != nil {
		return wrong("the local tier is damaged: %v\n%v", err, got)
	}
	return nil
}

// finish checks what the round has left, now that all is well.
func (r *round) finish() error {
	for _, m := range r.machines {
		if err := m.flush(r.ctx); err != nil {
			return wrong("machine %s: %v", m.name, err)
		}
		left, err := m.leftovers()
		// A process in the background that has found nothing to do may be about to end.
		for tries := 0; err == nil && len(left) > 0 && tries < 100; tries++ {
			time.Sleep(100 * time.Millisecond)
			left, err = m.leftovers()
		}
		if err != nil {
			return err
		}
		if len(left) > 0 {
			return wrong("machine %s has sessions left after larder flush:\n%s", m.name, indent(strings.Join(left, "\n")))
		}
	}
	if r.remote == onActions {
		return errors.Join(r.repeat(), r.finishFresh())
	}
	if _, damaged := harness.Objects(r.folder); len(damaged) > 0 {
		return wrong("the remote is damaged: %v", errors.Join(damaged...))
	}
	return r.finishFresh()
}

// repeat has the machine of the last build do it again: of two that have published at the
// same moment, the last one has won, and the next build adds what the other one had.
func (r *round) repeat() error {
	last := r.builds[len(r.builds)-1]
	_, err := r.machines[last.machine].goCommand(r.ctx, last.goal, nativeLimit, append(last.settings(), "LARDER_CLOSE=wait"), nil)
	return err
}

// finishFresh has a fresh machine do the last build again.
func (r *round) finishFresh() error {
	last := r.builds[len(r.builds)-1]
	last.bytes = "auto"
	fresh, err := newMachine(r.dir, "fresh", r.work, r.programs, append(r.settings, "LARDER_BUDGET=1m", "LARDER_TIMEOUT=1m"))
	if err != nil {
		return err
	}
	got, err := fresh.goCommand(r.ctx, "build -x ./...", nativeLimit, append(last.settings(), "LARDER_CLOSE=wait"), nil)
	switch {
	case err != nil:
		return err
	case got.status != 0 || got.hung || len(got.larder) > 0 || got.stats.Corrupt > 0:
		return wrong("a fresh machine has trouble: %v", got)
	case got.compiles > 0 || got.stats.RemoteHits > 0:
		return wrong("a fresh machine compiles %d packages, and finds %d entries that are not in the manifest; the last build was %v\n    %s",
			got.compiles, got.stats.RemoteHits, last, got.stats)
	}
	if err := errors.Join(fresh.tier.Damage()...); err != nil {
		return wrong("the local tier of a fresh machine is damaged: %v", err)
	}
	return nil
}

// Command startup shows what each go command pays for the start of larder, and what of that
// comes from which library:
//
//	go run ./integration/startup
//
// It runs larder version, go version and small programs in turns. Each of those programs uses
// one library beside net/http, or would if it had an argument. It also sums up what larder's
// own init functions take, by module, as GODEBUG=inittrace=1 tells it.
package main

import (
	"cmp"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"text/tabwriter"
	"time"
)

func main() {
	rounds := flag.Int("n", 100, "how often each program runs")
	flag.Parse()
	if *rounds < 1 || flag.NArg() > 0 {
		fmt.Fprintln(os.Stderr, "startup: -n must be at least 1, and there are no arguments")
		os.Exit(2)
	}
	if err := run(os.Stdout, *rounds); err != nil {
		fmt.Fprintln(os.Stderr, "startup:", err)
		os.Exit(1)
	}
}

// measured is a program and what it costs.
type measured struct {
	name string
	args []string // with the program's path
	size int64    // in bytes
	took []time.Duration
}

func (m *measured) median() time.Duration { return m.quantile(0.5) }

// unhindered returns what m takes when nothing else runs: the limit of the fastest tenth.
// Small differences show in it.
func (m *measured) unhindered() time.Duration { return m.quantile(0.1) }

func (m *measured) quantile(q float64) time.Duration {
	slices.Sort(m.took)
	return m.took[int(q*float64(len(m.took)))]
}

func run(out io.Writer, rounds int) error {
	dir, err := os.MkdirTemp("", "larder-startup-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)

	goVersion := &measured{name: "go version", args: []string{"go", "version"}}
	larder := &measured{name: "larder version", args: []string{filepath.Join(dir, "larder"), "version"}}
	if err := build(larder, "."); err != nil {
		return err
	}
	all := []*measured{goVersion, larder}
	for i, p := range programs() {
		m := &measured{name: p.library, args: []string{filepath.Join(dir, fmt.Sprint("program", i))}}
		source := m.args[0] + ".go"
		if err := os.WriteFile(source, []byte(p.source()), 0o666); err != nil {
			return err
		}
		if err := build(m, source); err != nil {
			return err
		}
		all = append(all, m)
	}
	if err := race(all, rounds); err != nil {
		return err
	}
	printPrograms(out, goVersion, larder, all[2:])
	inits, err := initTimes(larder.args, rounds)
	if err != nil {
		return err
	}
	printInits(out, inits)
	return nil
}

// build builds what is at path, as larder is released, into the program of m. The working
// directory is in larder's module.
func build(m *measured, path string) error {
	if runtime.GOOS == "windows" {
		m.args[0] += ".exe"
	}
	if path == "." {
		path = "github.com/larderbuild/larder"
	}
	cmd := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-tags=urfave_cli_no_template", "-ldflags=-s -w", "-o", m.args[0], path)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build %s: %w\n%s", m.name, err, out)
	}
	info, err := os.Stat(m.args[0])
	if err != nil {
		return err
	}
	m.size = info.Size()
	return nil
}

// race runs all in turns, so that other work on the machine slows all of them down, and in
// another order each time. The first round does not count.
func race(all []*measured, rounds int) error {
	all = slices.Clone(all)
	for round := range rounds + 1 {
		rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		for _, m := range all {
			began := time.Now()
			if err := exec.Command(m.args[0], m.args[1:]...).Run(); err != nil {
				return fmt.Errorf("%s: %w", m.name, err)
			}
			if took := time.Since(began); round > 0 {
				m.took = append(m.took, took)
			}
		}
	}
	return nil
}

func printPrograms(out io.Writer, goVersion, larder *measured, parts []*measured) {
	fmt.Fprintf(out, "larder version takes %.2f times as long as go version, and has %.1f MiB\n\n",
		float64(larder.median())/float64(goVersion.median()), float64(larder.size)/(1<<20))
	base := parts[slices.IndexFunc(parts, func(m *measured) bool { return m.name == "net/http" })]
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "program\tmedian, ms\tof go version\tfastest tenth beyond net/http, ms\tMB beyond it\t")
	for _, m := range slices.Concat([]*measured{goVersion, larder}, parts) {
		fmt.Fprintf(table, "%s\t%.2f\t%.2f\t", m.name, milliseconds(m.median()), float64(m.median())/float64(goVersion.median()))
		fmt.Fprintf(table, "%+.2f\t", milliseconds(m.unhindered()-base.unhindered()))
		if m.size > 0 {
			fmt.Fprintf(table, "%+.1f", float64(m.size-base.size)/1e6)
		}
		fmt.Fprintln(table, "\t")
	}
	table.Flush()
}

func printInits(out io.Writer, inits map[string]time.Duration) {
	fmt.Fprintln(out, "\nwhat init functions of larder version take, by module")
	modules := make([]string, 0, len(inits))
	var sum time.Duration
	for module, took := range inits {
		modules = append(modules, module)
		sum += took
	}
	slices.SortFunc(modules, func(a, b string) int { return cmp.Compare(inits[b], inits[a]) })
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "module\tms\t")
	fmt.Fprintf(table, "all\t%.2f\t\n", milliseconds(sum))
	for _, module := range modules {
		if inits[module] >= 5*time.Microsecond {
			fmt.Fprintf(table, "%s\t%.2f\t\n", module, milliseconds(inits[module]))
		}
	}
	table.Flush()
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

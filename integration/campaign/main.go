package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strings"
	"time"
)

// options are what the command line says.
type options struct {
	faults   int           // how many builds under a fault there are to be
	seed     uint64        // of everything that is drawn
	from     int           // number of the first round
	kinds    []*kind       // of faults, to draw from
	parallel int           // how many rounds run at once
	larder   string        // program to try; "" to build it
	keep     bool          // the folders of rounds that failed
	verbose  bool          // a line for each build
	allow    time.Duration // how long a build may take beyond what it should
}

func main() {
	opts, err := parse(os.Args[1:], os.Stderr)
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "campaign:", err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	report, err := run(ctx, opts, os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "campaign:", err)
		os.Exit(1)
	}
	fmt.Print(report)
	if report.failures() > 0 {
		os.Exit(1)
	}
}

// parse reads the command line. Errors say what is allowed.
func parse(args []string, help io.Writer) (options, error) {
	var o options
	flags := flag.NewFlagSet("campaign", flag.ContinueOnError)
	flags.SetOutput(help)
	flags.IntVar(&o.faults, "faults", 100, "`number` of builds under a fault")
	flags.Uint64Var(&o.seed, "seed", uint64(time.Now().UnixNano())%1e6, "`number` that everything is drawn from; by default it depends on the time")
	flags.IntVar(&o.from, "from", 1, "`number` of the first round")
	flags.IntVar(&o.parallel, "parallel", runtime.GOMAXPROCS(0), "`number` of rounds at once")
	flags.StringVar(&o.larder, "larder", "", "`file` of the program to try (default: the one in this module, built now)")
	flags.DurationVar(&o.allow, "allow", 30*time.Second, "how long a build may take beyond without larder and its budget")
	flags.BoolVar(&o.keep, "keep", false, "keep the folders of rounds that failed")
	flags.BoolVar(&o.verbose, "v", false, "print a line for each build")
	names := flags.String("kinds", "", "`list` of kinds of faults, separated by commas; -NAME leaves one out (default: all):"+describeKinds())
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	var err error
	o.kinds, err = kindsNamed(*names)
	switch {
	case err != nil:
		return o, err
	case flags.NArg() > 0:
		return o, fmt.Errorf("unknown argument %q; there are only flags", flags.Arg(0))
	case o.faults < 1 || o.from < 1 || o.parallel < 1:
		return o, errors.New("-faults, -from and -parallel must be 1 or more")
	}
	return o, nil
}

// kindsNamed returns the kinds in a list of names. A name with a hyphen before it leaves
// its kind out; a list that begins with one, or is empty, begins with all kinds.
func kindsNamed(list string) (named []*kind, err error) {
	if list == "" || strings.HasPrefix(list, "-") {
		named = slices.Clone(kinds)
	}
	for name := range strings.SplitSeq(list, ",") {
		name, out := strings.CutPrefix(name, "-")
		i := slices.IndexFunc(kinds, func(k *kind) bool { return k.name == name })
		switch {
		case list == "":
		case i < 0:
			return nil, fmt.Errorf("-kinds: there is no kind %q; there are %s", name, strings.Join(kindNames(), ", "))
		case out:
			named = slices.DeleteFunc(named, func(k *kind) bool { return k == kinds[i] })
		default:
			named = append(named, kinds[i])
		}
	}
	return named, nil
}

func kindNames() (names []string) {
	for _, k := range kinds {
		names = append(names, k.name)
	}
	return names
}

func describeKinds() string {
	var b strings.Builder
	for _, k := range kinds {
		fmt.Fprintf(&b, "\n%-12s %s", k.name, k.says)
	}
	return b.String()
}

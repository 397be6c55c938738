package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"strings"

	urfave "github.com/urfave/cli/v3"
	"golang.org/x/term"

	"github.com/larderbuild/larder/gocmd"
)

// Exit statuses.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

// Main runs the program with args, of which the first is its name, and returns
// its exit status.
func Main(args []string, stdin *os.File, stdout, stderr *os.File) (status int) {
	p := &program{stdin: stdin, stdout: stdout, stderr: stderr, args: args[1:], environ: os.Environ()}
	promoteCredentials(p.environ)
	log.SetOutput(io.Discard) // libraries write to it what concerns nobody who builds
	immune(func() { status = p.run(args) })
	return status
}

// run runs the program with args, and returns its exit status.
func (p *program) run(args []string) int {
	err := p.command().Run(context.Background(), args)
	var usage *usageError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &usage):
		p.complain(err, usage.hint)
		return exitUsage
	default:
		p.complain(err, "")
		return exitFailed
	}
}

// program is one run of larder.
type program struct {
	stdin, stdout, stderr *os.File
	args                  []string    // without the program's name
	environ               environment // as larder got it, without what promoteCredentials adds
}

// surroundings asks for the working directory, which touches files.
func (p *program) surroundings() surroundings {
	folder, err := os.Getwd()
	if err != nil {
		folder = ""
	}
	return surroundings{p.environ, folder}
}

// usageError is a mistake in how larder was called.
type usageError struct {
	err  error
	hint string // what to do about it
}

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

// complain prints err for people, a line for each of those joined in it.
func (p *program) complain(err error, hint string) {
	for line := range strings.Lines(err.Error()) {
		_, _ = fmt.Fprintf(p.stderr, "error: %s\n", strings.TrimSuffix(line, "\n"))
	}
	if hint != "" {
		_, _ = fmt.Fprintf(p.stderr, "hint: %s\n", hint)
	}
}

func (p *program) command() *urfave.Command {
	root := &urfave.Command{
		Name:  "larder",
		Usage: "a shared build cache for the go command",
		UsageText: "GOCACHEPROG=larder go build ./...\n" +
			"larder [options] command",
		Description: "Set GOCACHEPROG=larder, and LARDER_REMOTE to a store, and every go build, test and vet\n" +
			"takes from there what any other machine has built. Each option can be given as a variable.",
		Flags:           flags(),
		HideVersion:     true,
		HideHelpCommand: true,
		Reader:          p.stdin,
		Writer:          p.stdout,
		ErrWriter:       p.stderr,
		ExitErrHandler:  func(context.Context, *urfave.Command, error) {},
		Action:          p.root,
		Commands: []*urfave.Command{
			p.restoreCommand(),
			p.saveCommand(),
			p.flushCommand(),
			p.pruneCommand(),
			p.cleanCommand(),
			p.gcCommand(),
			p.benchCommand(),
			p.serveCommand(),
			p.keygenCommand(),
			p.versionCommand(),
			p.lingerCommand(),
		},
	}
	root.OnUsageError = func(ctx context.Context, cmd *urfave.Command, err error, sub bool) error {
		err = &usageError{err, "larder --help lists the options"}
		if sub || !p.calledByGo(root) {
			return err
		}
		for _, f := range root.Flags {
			err = errors.Join(err, f.PostParse()) // reads the variables
		}
		return p.helperDespite(err, root)
	}
	for _, cmd := range root.Commands {
		cmd.OnUsageError = func(_ context.Context, cmd *urfave.Command, err error, _ bool) error {
			return &usageError{err, "larder " + cmd.Name + " --help lists its options"}
		}
		cmd.Action = p.unlessHelper(cmd.Action)
	}
	return root
}

// calledByGo reports whether larder runs as the go command's helper: without a
// command, and with something other than a terminal as its input.
func (p *program) calledByGo(root *urfave.Command) bool {
	return !namesCommand(root, p.args) && !term.IsTerminal(int(p.stdin.Fd()))
}

// namesCommand reports whether one of args is the name of a command, rather than
// the value of the option before it.
func namesCommand(root *urfave.Command, args []string) bool {
	value := false // whether arg is the value of an option
	for _, arg := range args {
		option := strings.HasPrefix(arg, "-")
		if !option && !value && root.Command(arg) != nil {
			return true
		}
		value = option && !strings.Contains(arg, "=")
	}
	return false
}

// root runs larder without a command.
func (p *program) root(_ context.Context, cmd *urfave.Command) error {
	if name := cmd.Args().First(); name != "" {
		err := &usageError{fmt.Errorf("unknown command %q", name), "larder --help lists the commands"}
		if p.calledByGo(cmd) && p.mayServeGo() { // who mistypes a command in a script wants to know it
			return p.helperDespite(err, cmd)
		}
		return err
	}
	if !p.calledByGo(cmd) {
		return urfave.ShowRootCommandHelp(cmd)
	}
	return p.helper(configure(cmd, p.environ))
}

// unlessHelper makes the Action of a command from action. If a go command has started
// larder as its helper, as with GOCACHEPROG="larder flush", it serves a session instead.
func (p *program) unlessHelper(action urfave.ActionFunc) urfave.ActionFunc {
	return func(ctx context.Context, cmd *urfave.Command) error {
		if p.mayServeGo() {
			if _, err := gocmd.Parent(); err == nil {
				return p.helperDespite(fmt.Errorf("GOCACHEPROG names the command %q", cmd.Name), cmd)
			}
		}
		return action(ctx, cmd)
	}
}

// mayServeGo reports whether larder has what the go command gives its helper: GOVERSION,
// and pipes.
func (p *program) mayServeGo() bool {
	return p.environ.get("GOVERSION") != "" && isPipe(p.stdin) && isPipe(p.stdout)
}

func isPipe(file *os.File) bool {
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeNamedPipe != 0
}

// helperDespite serves a session although the go command has called larder wrongly: it
// gives up without its helper.
func (p *program) helperDespite(err error, cmd *urfave.Command) error {
	given := configure(cmd, p.environ)
	given.wrong = append([]error{err}, given.wrong...)
	return p.helper(given)
}

// action makes the Action of a command that takes no arguments, from run.
func (p *program) action(run func(context.Context, *urfave.Command, settings) error) urfave.ActionFunc {
	configured := p.configured(run)
	return func(ctx context.Context, cmd *urfave.Command) error {
		if err := wantNoArguments(cmd); err != nil {
			return err
		}
		return configured(ctx, cmd)
	}
}

// configured makes the Action of a command from run, which gets the settings, and a
// context that ends with the first interrupt. Where a setting is wrong, run is not
// called.
func (p *program) configured(run func(context.Context, *urfave.Command, settings) error) urfave.ActionFunc {
	return func(ctx context.Context, cmd *urfave.Command) error {
		s, err := configure(cmd, p.environ).resolve(p.surroundings())
		if err != nil {
			return &usageError{err, "larder --help lists the options"}
		}
		ctx, stop := signal.NotifyContext(ctx, os.Interrupt)
		defer stop()
		return run(ctx, cmd, s)
	}
}

func wantNoArguments(cmd *urfave.Command) error {
	if !cmd.Args().Present() {
		return nil
	}
	return &usageError{
		fmt.Errorf("larder %s takes no arguments, but got %q", cmd.Name, cmd.Args().First()),
		"larder " + cmd.Name + " --help lists its options",
	}
}

// jsonFlag returns the flag of every command that prints a result.
func jsonFlag() urfave.Flag {
	return &urfave.BoolFlag{Name: "json", Usage: "print the result as a JSON object"}
}

// print writes a command's result for people, or as JSON with --json.
func (p *program) print(cmd *urfave.Command, result fmt.Stringer) error {
	if cmd.Bool("json") {
		return writeJSON(p.stdout, result)
	}
	_, err := fmt.Fprintln(p.stdout, result)
	return err
}

// writeJSON writes v as a JSON object on one line.
func writeJSON(w io.Writer, v any) error { return json.NewEncoder(w).Encode(v) }

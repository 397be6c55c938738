package cli

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestCalledByGo(t *testing.T) {
	t.Parallel()
	null, err := os.Open(os.DevNull) // no terminal
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	for args, want := range map[string]bool{
		"":                                true,
		"--stats=1":                       true,
		"--stats 1 --close wait":          true,
		"-stats 1":                        true,
		"--close linger":                  true, // linger is a command, too
		"--close=linger":                  true,
		"--profile flush --scope version": true,
		"--remote= --close linger":        true,
		"--remoet=x":                      true,
		"--remoet flush":                  true, // whatever --remoet is
		"fluhs":                           true, // an argument, but no command
		"flush":                           false,
		"linger --trim":                   false,
		"--close linger linger --trim":    false,
		"--close=linger flush":            false,
		"--stats 1 flush --json":          false,
		"--remote= flush":                 false,
		"fluhs flush":                     false,
	} {
		p := &program{stdin: null, args: strings.Fields(args)}
		if got := p.calledByGo(p.command()); got != want {
			t.Errorf("larder %s: called by the go command: %v, want %v", args, got, want)
		}
	}
}

// TestCommandNames: calledByGo knows each command.
func TestCommandNames(t *testing.T) {
	t.Parallel()
	root := new(program).command()
	for _, cmd := range root.Commands {
		if !namesCommand(root, []string{cmd.Name}) {
			t.Errorf("%s is no command", cmd.Name)
		}
	}
}

func TestComplain(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		err  error
		hint string
		want string
	}{
		{errors.New("no"), "", "error: no\n"},
		{errors.New("no"), "try", "error: no\nhint: try\n"},
		{errors.Join(errors.New("a"), errors.Join(errors.New("b"), nil, errors.New("c"))), "try", "error: a\nerror: b\nerror: c\nhint: try\n"},
	} {
		stderr := tempFile(t)
		(&program{stderr: stderr}).complain(test.err, test.hint)
		if got := contents(t, stderr); got != test.want {
			t.Errorf("%q, want %q", got, test.want)
		}
	}
}

// tempFile returns a new file, which is closed when the test ends.
func tempFile(t *testing.T) *os.File {
	t.Helper()
	file, err := os.Create(filepath.Join(t.TempDir(), "file"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	return file
}

// contents returns what was written to file.
func contents(t *testing.T, file *os.File) string {
	t.Helper()
	text, err := os.ReadFile(file.Name())
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

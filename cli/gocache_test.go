package cli

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	urfave "github.com/urfave/cli/v3"
)

func TestGoCache(t *testing.T) {
	t.Setenv("GOENV", "off")
	dir := t.TempDir()
	for _, test := range []struct {
		name string
		set  map[string]string
		args []string
		want string // the folder
		warn string // in the log
		err  string // in the error
	}{
		{name: "the go command's", set: map[string]string{"GOCACHE": dir}, want: dir},
		{name: "another", set: map[string]string{"GOCACHE": dir}, args: []string{"--cache", "relative"}, want: absolute(t, "relative")},
		{name: "another, without a go command", set: map[string]string{"PATH": ""}, args: []string{"--cache", dir}, want: dir},
		{name: "no go command", set: map[string]string{"PATH": ""}, err: "go env GOCACHE: "},
		{name: "none", set: map[string]string{"GOCACHE": "off"}, err: `GOCACHE is "off", which is no folder`},
		{name: "a helper besides", set: map[string]string{"GOCACHE": dir, "GOCACHEPROG": "larder --stats=1"}, want: dir, warn: `GOCACHEPROG is "larder --stats=1": builds ask that helper`},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Setenv("GOCACHEPROG", "")
			for name, value := range test.set {
				t.Setenv(name, value)
			}
			log := new(bytes.Buffer)
			cmd := &urfave.Command{Flags: stepFlags(), Action: func(ctx context.Context, cmd *urfave.Command) error {
				got, err := goCache(ctx, cmd, newLog(log, slog.LevelWarn))
				var usage *usageError
				if got != test.want || errors.As(err, &usage) != (test.err != "") || err != nil && !strings.Contains(err.Error(), test.err) {
					t.Errorf("%q, %v, want %q, %q", got, err, test.want, test.err)
				}
				return nil
			}}
			if err := cmd.Run(t.Context(), append([]string{"restore"}, test.args...)); err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(log.String(), test.warn) || (log.Len() > 0) != (test.warn != "") {
				t.Errorf("logged %q, want %q", log, test.warn)
			}
		})
	}
}

func TestWithinMaxTime(t *testing.T) {
	t.Parallel()
	for args, want := range map[string]struct {
		limit bool
		err   error
	}{
		"":               {true, nil},
		"--max-time=0":   {false, nil},
		"--max-time=1ns": {true, errTimeIsUp},
	} {
		cmd := &urfave.Command{Flags: stepFlags(), Action: func(ctx context.Context, cmd *urfave.Command) error {
			return withinMaxTime(ctx, cmd, func(ctx context.Context) error {
				if _, limit := ctx.Deadline(); limit != want.limit {
					t.Errorf("%s: there is a limit: %v", args, limit)
				}
				if want.err != nil {
					<-ctx.Done()
				}
				return context.Cause(ctx)
			})
		}}
		if err := cmd.Run(context.Background(), append([]string{"restore"}, strings.Fields(args)...)); !errors.Is(err, want.err) {
			t.Errorf("%s: %v, want %v", args, err, want.err)
		}
	}
}

// TestSteps: a step of a CI job fails because of the remote only with --strict, and
// for wrong options in any case.
func TestSteps(t *testing.T) {
	clearVariables(t)
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	outside := filepath.VolumeName(here) + string(filepath.Separator)
	remote := "file:///" + strings.TrimPrefix(filepath.ToSlash(filepath.Join(t.TempDir(), "remote")), "/")
	for _, test := range []struct {
		name           string
		folder         string
		options, args  string
		fails          bool
		stdout, stderr string
	}{
		{"no remote", here, "", "restore", false, "", "larder: restore: no remote is set (LARDER_REMOTE)\n"},
		{"no remote, to save", here, "", "save", false, "", "larder: save: no remote is set (LARDER_REMOTE)\n"},
		{"no remote, strictly", here, "", "restore --strict", true, "", "error: no remote is set (LARDER_REMOTE)\n"},
		{
			"no remote, for programs", here, "", "restore --json", false,
			`{"entries":0,"bytes":0,"present":0,"failed":0,"remote_requests":0,"remote_bytes_in":0}` + "\n", "larder: restore: no remote is set (LARDER_REMOTE)\n",
		},
		{"a read-only remote", here, "--readonly=true --remote=" + remote, "save", false, "", "larder: save: " + errReadOnly.Error() + "\n"},
		{"a read-only remote, strictly", here, "--readonly=true --remote=" + remote, "save --strict", true, "", "error: " + errReadOnly.Error() + "\n"},
		{"no module", outside, "--remote=" + remote, "restore", true, "", "error: " + errNoProfile.Error() + "\nhint: run it in the folder of the module or the workspace\n"},
		{"an empty remote", here, "--remote=" + remote, "restore", false, "nothing to restore yet\n", ""},
		{"a wrong setting", here, "--stats=yes", "restore", true, "", "error: LARDER_STATS (or --stats) is \"yes\": want one of 0, 1, json, or the absolute path of a file\nhint: larder --help lists the options\n"},
		{"an argument", here, "", "restore all", true, "", "error: larder restore takes no arguments, but got \"all\"\nhint: larder restore --help lists its options\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Chdir(test.folder)
			stdout, stderr := tempFile(t), tempFile(t)
			p := &program{stdin: tempFile(t), stdout: stdout, stderr: stderr, environ: os.Environ()}
			args := append([]string{"larder"}, strings.Fields(test.options)...)
			args = append(append(args, strings.Fields(test.args)...), "--cache="+t.TempDir())
			err := p.command().Run(t.Context(), args)
			if (err != nil) != test.fails {
				t.Errorf("error %v, want one: %v", err, test.fails)
			}
			if err != nil {
				var usage *usageError
				hint := ""
				if errors.As(err, &usage) {
					hint = usage.hint
				}
				p.complain(err, hint)
			}
			if got := contents(t, stdout); got != test.stdout {
				t.Errorf("stdout %q, want %q", got, test.stdout)
			}
			if got := contents(t, stderr); got != test.stderr {
				t.Errorf("stderr %q, want %q", got, test.stderr)
			}
		})
	}
}

package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/cache"
	"github.com/larderbuild/larder/gocmd"
	"github.com/larderbuild/larder/session"
)

// patience is how long a process that was interrupted may take to end.
const patience = 20 * time.Second

// prepare finds out how the go command is configured. Then it runs the command once with
// the user's own cache, so that its modules are downloaded and mistakes show early.
func (b *bench) prepare(ctx context.Context) error {
	temp := filepath.Join(b.root, "tmp")
	if err := os.Mkdir(temp, 0o700); err != nil {
		return err
	}
	// With GOTMPDIR, what an interrupted go command leaves is removed with b.root.
	b.goEnv = []string{"GOCACHEPROG=", "GOTMPDIR=" + temp}
	var set struct{ GOFLAGS, GOCACHEPROG, GOENV string }
	_, stdout, _, err := b.run(ctx, b.goEnv, []string{b.Command[0], "env", "-json", "GOFLAGS", "GOCACHEPROG", "GOENV"})
	if err != nil {
		return err
	}
	if err := json.Unmarshal([]byte(stdout), &set); err != nil {
		return fmt.Errorf("go env: %w", err)
	}
	b.goFlags = set.GOFLAGS
	if set.GOCACHEPROG != "" {
		// go env -w has set it, and an empty variable does not override that.
		if err := b.replaceGoEnv(set.GOENV); err != nil {
			return err
		}
	}
	if _, _, _, err := b.run(ctx, b.goEnv, b.Command); err != nil {
		return err
	}
	if b.Edit == "" {
		return nil
	}
	return b.checkEdit(ctx)
}

// replaceGoEnv makes a copy, without GOCACHEPROG, of the go command's configuration file
// at path, and makes the go command read the copy.
func (b *bench) replaceGoEnv(path string) error {
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	lines := slices.DeleteFunc(strings.SplitAfter(string(content), "\n"), func(line string) bool {
		return strings.HasPrefix(line, "GOCACHEPROG=")
	})
	replaced := filepath.Join(b.root, "goenv")
	b.goEnv = append(b.goEnv, "GOENV="+replaced)
	return os.WriteFile(replaced, []byte(strings.Join(lines, "")), 0o600)
}

// nativeBuild runs the command with the go command's own cache in dir.
func (r *round) nativeBuild(ctx context.Context, dir string) (time.Duration, error) {
	env := slices.Concat(r.goEnv, r.edit, []string{"GOCACHE=" + dir})
	took, _, _, err := r.run(ctx, env, r.Command)
	return took, err
}

// larderBuild runs the command with larder, with the local tier in dir. Afterwards it does
// the work that larder otherwise does in the background. The sample counts that work's
// requests, but not its time.
func (r *round) larderBuild(ctx context.Context, dir string, settings ...string) (s sample, err error) {
	helper, err := gocmd.QuoteField(r.Helper)
	if err != nil {
		return s, fmt.Errorf("GOCACHEPROG: %w", err)
	}
	env := slices.Concat(r.goEnv, r.edit, []string{
		"GOCACHEPROG=" + helper,
		"GOCACHE=" + goCacheFor(dir), // for the few files that the go command does not give a helper
		"LARDER_DIR=" + dir,
		"LARDER_REMOTE=" + r.remote,
		"LARDER_READONLY=false",
		"LARDER_CLOSE=defer",
		"LARDER_BYTES=auto",
		"LARDER_STATS=json",
		"LARDER_LOG=warn",
		"LARDER_RECORD=",
	}, settings)
	took, _, stderr, err := r.run(ctx, env, r.Command)
	if err != nil {
		return s, err
	}
	s.took = took
	sessions := 0
	for line := range strings.Lines(stderr) {
		var stats cache.Summary
		if json.Unmarshal([]byte(line), &stats) == nil {
			sessions++
			s.add(stats.RemoteRequests, stats.RemoteBytesIn, stats.RemoteBytesOut)
		} else if strings.HasPrefix(line, "larder: ") && !r.warned[line] {
			r.warned[line] = true
			r.Warn(strings.TrimSpace(line))
		}
	}
	if sessions == 0 {
		return s, fmt.Errorf("%s did not use the cache", strings.Join(r.Command, " "))
	}

	fast := slices.Concat(env, []string{"LARDER_BENCH_LATENCY=", "LARDER_BENCH_BANDWIDTH="})
	_, stdout, _, err := r.run(ctx, fast, []string{r.Helper, "flush", "--json"})
	if err != nil {
		return s, err
	}
	var rest struct {
		Requests int64 `json:"remote_requests"`
		BytesOut int64 `json:"remote_bytes_out"`
	}
	err = json.Unmarshal([]byte(stdout), &rest)
	s.add(rest.Requests, 0, rest.BytesOut)
	return s, err
}

func (s *sample) add(requests, in, out int64) {
	s.Counts = backend.Counts{Requests: s.Requests + requests, BytesIn: s.BytesIn + in, BytesOut: s.BytesOut + out}
}

// goCacheFor returns the GOCACHE that belongs to the local tier in dir.
func goCacheFor(dir string) string { return dir + "-go" }

// run runs a command, and returns when the command and its helper have ended. An error
// contains the command's output.
func (b *bench) run(ctx context.Context, env, command []string) (took time.Duration, stdout, stderr string, err error) {
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Env = slices.Concat(b.Environ, env)
	var out, complaints bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaints
	cmd.Cancel = func() error {
		if cmd.Process.Signal(os.Interrupt) == nil {
			return nil
		}
		return cmd.Process.Kill()
	}
	cmd.WaitDelay = patience
	start := time.Now()
	err = cmd.Run()
	took = time.Since(start)
	stdout, stderr = out.String(), complaints.String()
	switch {
	case ctx.Err() != nil:
		err = context.Cause(ctx)
	case err != nil:
		err = fmt.Errorf("%s: %w\n%s%s", strings.Join(command, " "), err, stdout, stderr)
	}
	return took, stdout, stderr, err
}

// settle waits for helpers that still run after their go command was killed.
func (r *round) settle() error {
	for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		live := false
		for _, dir := range append(r.used, r.local) {
			since, err := session.LiveSince(dir)
			if err != nil {
				return err
			}
			live = live || !since.IsZero()
		}
		if !live {
			return nil
		}
		if time.Now().After(deadline) {
			return errors.New("a helper does not end")
		}
	}
}

// removeAll removes dir and everything in it. A build may have made files read-only, and a
// process that is about to end may still have files open or add some, so removeAll changes
// modes and tries several times.
func removeAll(dir string) error {
	err := os.RemoveAll(dir)
	for range 50 {
		if err == nil {
			return nil
		}
		_ = filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
			if err == nil && e.IsDir() {
				_ = os.Chmod(path, 0o700) // if this fails, RemoveAll returns an error
			}
			return nil
		})
		time.Sleep(20 * time.Millisecond)
		err = os.RemoveAll(dir)
	}
	return err
}

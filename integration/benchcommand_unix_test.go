//go:build unix

package integration

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestBenchInterrupted interrupts larder bench while a build runs with larder: the
// first one, or the edited one. A terminal signals the whole group of processes, a
// supervisor only the process that it started.
func TestBenchInterrupted(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		until string // a path exists in the temporary folder
		group bool
	}{
		{"cold/terminal", "1/larder", true},
		{"cold/supervisor", "1/larder", false},
		{"edited/terminal", "1/edit/overlay.json", true},
		{"edited/supervisor", "1/edit/overlay.json", false},
	} {
		// Two rows have each build and each signal.
		if !whole && test.group != strings.HasPrefix(test.name, "cold") {
			continue
		}
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			b := newBenched(t)
			before := b.state(t)
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			defer cancel()
			cmd := b.command(ctx, "--latency", "100ms", "--edit", b.edited, "--", "go", "build", "./...")
			cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
			var out strings.Builder
			cmd.Stdout, cmd.Stderr = &out, &out
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			for {
				found, err := filepath.Glob(filepath.Join(b.temp, "larder-bench-*", test.until))
				if err != nil || ctx.Err() != nil {
					t.Fatal(err, context.Cause(ctx))
				}
				if len(found) > 0 {
					break
				}
				time.Sleep(5 * time.Millisecond)
			}
			target := cmd.Process.Pid
			if test.group {
				target = -target
			}
			if err := syscall.Kill(target, syscall.SIGINT); err != nil {
				t.Fatal(err)
			}
			_ = cmd.Wait() // its status is looked at below
			if status := cmd.ProcessState.ExitCode(); status != 1 || !strings.Contains(out.String(), "error: interrupted") {
				t.Errorf("exit status %d\n%s", status, out.String())
			}
			b.checkClean(t, before)
			if _, err := os.Stat("/proc/self/environ"); err == nil {
				b.awaitProcesses(ctx, t)
			}
		})
	}
}

// awaitProcesses waits for the processes whose temporary files go to b.temp,
// and fails the test if they stay.
func (b *benched) awaitProcesses(ctx context.Context, t *testing.T) {
	t.Helper()
	for {
		left := 0
		environs, err := filepath.Glob("/proc/[0-9]*/environ")
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range environs {
			environ, err := os.ReadFile(path)
			if err == nil && strings.Contains(string(environ), "TMPDIR="+b.temp) {
				left++
			}
		}
		if left == 0 {
			return
		}
		if ctx.Err() != nil {
			t.Fatalf("%d processes are left", left)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

package integration

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/larderbuild/larder/session"
	"github.com/larderbuild/larder/testserver"
)

// TestUnreachable: a remote that can't be reached costs one build, and no more than its
// budget. The next ones go without it, and say nothing. Once the time for that is over,
// one build tries. What was put meanwhile arrives.
func TestUnreachable(t *testing.T) {
	t.Parallel()
	c := usualChain(t)
	for name, s := range clouds(t) {
		for fault, cause := range map[string]func(*testserver.Link){
			"down": (*testserver.Link).Down,
			"hang": (*testserver.Link).Hang,
		} {
			t.Run(name+"/"+fault, func(t *testing.T) {
				t.Parallel()
				link := testserver.Proxy(t, s.endpoint)
				cause(link)
				m := s.machine(t, c, link.Endpoint, "LARDER_CLOSE_TIMEOUT="+hopeless.String(),
					"LARDER_BUDGET="+faultBudget.String(), "LARDER_TIMEOUT="+hopeless.String())
				memory := session.NewMemory(m.dir, s.url(link.Endpoint))
				limit := c.withoutCacheAnd(faultBudget)

				r := c.buildInTime(m, limit)
				r.wantOneLine(t)
				if !strings.Contains(r.stderr, "no answer from ") || !memory.Known(session.Down) {
					t.Errorf("not remembered as down:\n%s", r.stderr)
				}
				link.Heal()
				if r := c.buildInTime(m, limit); r.stderr != "" || r.stats.RemoteRequests != 0 {
					t.Errorf("the next build: %d requests\n%s", r.stats.RemoteRequests, r.stderr)
				}
				if err := memory.Note(session.Down, 0); err != nil {
					t.Fatal(err)
				}
				if r := c.buildInTime(m, limit); r.stderr != "" || r.stats.RemoteRequests == 0 || memory.Known(session.Down) {
					t.Errorf("when the time is over: %d requests\n%s", r.stats.RemoteRequests, r.stderr)
				}
				s.wantCaughtUp(t, c, m)
			})
		}
	}
}

// TestNestedGoCommands: tests of the standard library that run go commands and read all
// that these print pass under larder, also where it prints its counts.
func TestNestedGoCommands(t *testing.T) {
	t.Parallel()
	goroot, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	source := filepath.Join(strings.TrimSpace(string(goroot)), "src")
	for name, remote := range map[string]string{"local tier alone": "", "remote that is down": "s3://bucket?region=eu-west-1&endpoint=http://127.0.0.1:1"} {
		if !whole && remote == "" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newMachine(t, source, remote, "LARDER_STATS=1", "LARDER_BUDGET=1s")
			if err := os.Rename(stocked(t), m.dir); err != nil {
				t.Fatal(err)
			}
			r := m.must("go", "test", "go/doc/comment", "crypto/internal/fips140deps")
			if n := strings.Count(r.stderr+r.stdout, " gets: "); n != 1 {
				t.Errorf("%d lines of counts, want that of the outer command\n%s%s", n, r.stdout, r.stderr)
			}
			log := readFile(t, filepath.Join(m.dir, "larder", "log"))
			if !bytes.Contains(log, []byte(" gets: ")) {
				t.Errorf("the counts of the inner commands are not in the log:\n%s", log)
			}
		})
	}
}

// TestGoneBeforeTheHandshake: where the go command is gone nothing is said.
func TestGoneBeforeTheHandshake(t *testing.T) {
	t.Parallel()
	m := newMachine(t, t.TempDir(), "")
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer write.Close()
	read.Close()
	cmd := m.command(t.Context(), larder)
	var stderr bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(""), write, &stderr
	if err := cmd.Run(); err != nil || stderr.Len() > 0 {
		t.Errorf("%v\n%s", err, &stderr)
	}
}

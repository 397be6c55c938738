package integration

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/larderbuild/larder/integration/harness"
	"github.com/larderbuild/larder/testserver"
)

// processes returns those that run larder for m, by their environment.
func (m *machine) processes() (pids []int) {
	m.t.Helper()
	pids, err := harness.Processes(m.dir, larder)
	if err != nil {
		m.t.Fatal(err)
	}
	return pids
}

// kill kills every process that runs larder for m.
func (m *machine) kill() {
	for _, pid := range m.processes() {
		syscall.Kill(pid, syscall.SIGKILL)
	}
}

// wantGone waits until nothing runs larder for m.
func (m *machine) wantGone() {
	m.t.Helper()
	for range 600 {
		if len(m.processes()) == 0 {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	m.t.Errorf("processes %v are still there", m.processes())
}

// moments kills one process at a moment of its own in each of many builds: when
// the upload with this number begins, or is half done, or is done.
type moments struct {
	at   int
	when string
	kill func()
	open chan struct{} // closed when uploads may begin

	mu   sync.Mutex
	puts int
	once sync.Once
}

func (k *moments) request(r *http.Request) {
	if r.Method != http.MethodPut {
		return
	}
	select {
	case <-k.open:
	case <-r.Context().Done():
		return
	}
	k.mu.Lock()
	k.puts++
	now := k.puts == k.at
	k.mu.Unlock()
	if !now {
		return
	}
	switch k.when {
	case "before":
		k.once.Do(k.kill)
	case "within":
		r.Body = &killingBody{ReadCloser: r.Body, left: r.ContentLength / 2, kill: func() { k.once.Do(k.kill) }}
	}
}

func (k *moments) answer(r *http.Response) error {
	k.mu.Lock()
	now := r.Request.Method == http.MethodPut && k.puts >= k.at
	k.mu.Unlock()
	if now && k.when == "after" {
		k.once.Do(k.kill)
	}
	return nil
}

// killingBody kills when its first left bytes are read.
type killingBody struct {
	io.ReadCloser
	left int64
	kill func()
}

func (b *killingBody) Read(p []byte) (int, error) {
	if b.left <= 0 {
		b.kill()
		return b.ReadCloser.Read(p)
	}
	n, err := b.ReadCloser.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, err
}

// TestKilled kills larder at many moments of its uploads: beside the build,
// while the go command waits for it, and in the background. What is in the
// tiers is whole at every time, and what is missing comes with the next session.
// Where whole is not set, each mode meets each when and each upload, and each when
// meets each upload, but not all three together.
func TestKilled(t *testing.T) {
	t.Parallel()
	c, server := usualChain(t), s3Store(t)
	for i, mode := range []string{"build", "wait", "linger"} {
		for j, when := range []string{"before", "within", "after"} {
			for k, at := range []int{1, 5, 11} {
				if !whole && k != (i+j)%3 {
					continue
				}
				name := fmt.Sprintf("%s/%s upload %d", mode, when, at)
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					testKill(t, c, server.apart(name), mode, when, at)
				})
			}
		}
	}
}

func testKill(t *testing.T, c *chained, s store, mode, when string, at int) {
	k := &moments{at: at, when: when, open: make(chan struct{})}
	open := sync.OnceFunc(func() { close(k.open) })
	killed := make(chan struct{})
	closing := mode
	if mode == "build" {
		closing = "wait"
		open()
	}
	m := s.machine(t, c, newGate(t, s.endpoint, k.request, k.answer), "LARDER_CLOSE="+closing, "LARDER_BUDGET=0")
	t.Cleanup(open) // or the gate would not close
	k.mu.Lock()
	k.kill = func() {
		m.kill()
		close(killed)
	}
	k.mu.Unlock()

	// Before it has said close, the go command does not outlive its helper.
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	done := make(chan result, 1)
	args, _ := c.goal(t) // not the program of the build before, which would be left as it is
	go func() { done <- m.await(m.command(ctx, "go", args...)) }()
	if mode == "wait" {
		m.waitFor(func() bool { return m.pending() >= 3*c.packages })
		open()
	}
	r := <-done
	open()
	if ctx.Err() != nil {
		t.Fatal("the go command hung")
	}
	select {
	case <-killed:
	case <-time.After(time.Minute):
		t.Fatal("nothing was killed")
	}
	if mode == "linger" && r.status != 0 {
		t.Errorf("exit status %d\n%s", r.status, r.stderr)
	}
	s.wantWhole(t, m)

	// The next session has nothing of its own to upload, or a little.
	m.env = append(m.env, "LARDER_CLOSE=linger")
	c.build(m)
	m.wantGone()
	s.wantWhole(t, m)
	if n := m.pending(); n > 0 {
		t.Errorf("%d uploads are left after the next session", n)
	}
	m.wantNoSessions()
	s.wantFull(t, c)
}

// TestLingeringProcess looks at what runs in the background.
func TestLingeringProcess(t *testing.T) {
	t.Parallel()
	c, s := usualChain(t), s3Store(t)
	link := testserver.Proxy(t, s.endpoint)
	link.Hang()
	m := s.machine(t, c, link.Endpoint, "LARDER_CLOSE=linger", "LARDER_BUDGET=0",
		"LARDER_LINGER=5s", "LARDER_TIMEOUT="+hopeless.String())
	// What somebody else waits for may come from far, as a descriptor that
	// every process on the way has passed on.
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	args, _ := c.goal(t)
	cmd := m.command(t.Context(), "go", args...)
	cmd.ExtraFiles = []*os.File{write}
	if r := m.await(cmd); r.status != 0 {
		t.Fatal(r.stderr)
	}
	write.Close()
	pids := m.processes()
	if len(pids) != 1 {
		t.Fatalf("processes %v, want one", pids)
	}
	proc := filepath.Join("/proc", strconv.Itoa(pids[0]))
	if wd, _ := os.Readlink(filepath.Join(proc, "cwd")); wd != "/" {
		t.Errorf("works in %s", wd)
	}
	stat := strings.Fields(string(readFile(t, filepath.Join(proc, "stat"))))
	if session := stat[5]; session != strconv.Itoa(pids[0]) {
		t.Errorf("process %d is in session %s", pids[0], session)
	}
	log := filepath.Join(m.dir, "larder", "log")
	for fd, want := range []string{"/dev/null", log, log} {
		if got, _ := os.Readlink(filepath.Join(proc, "fd", strconv.Itoa(fd))); got != want {
			t.Errorf("descriptor %d is %s, want %s", fd, got, want)
		}
	}
	fds, err := os.ReadDir(filepath.Join(proc, "fd"))
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range fds {
		if to, _ := os.Readlink(filepath.Join(proc, "fd", fd.Name())); strings.HasPrefix(to, "pipe:") {
			t.Errorf("descriptor %s is a pipe", fd.Name())
		}
	}
	m.wantGone() // by LARDER_LINGER: the remote still hangs
	if m.pending() == 0 || !strings.Contains(string(readFile(t, log)), "LARDER_LINGER is over") {
		t.Errorf("%d uploads left; log:\n%s", m.pending(), readFile(t, log))
	}
	link.Heal()
	m.must(larder, "flush")
	s.wantFull(t, c)
}

// TestGoCommandStopped kills or interrupts the go command in the middle of a
// build. Larder ends by itself, and the next build is right. Where whole is not set,
// each way to stop it comes at one moment.
func TestGoCommandStopped(t *testing.T) {
	t.Parallel()
	c, server := newChained(t, 40), s3Store(t)
	for i, way := range []struct {
		name string
		stop func(*exec.Cmd) error
	}{
		{"killed", func(cmd *exec.Cmd) error { return cmd.Process.Kill() }},
		{"interrupted", func(cmd *exec.Cmd) error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGINT) }},
		{"quit", func(cmd *exec.Cmd) error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGQUIT) }},
		{"terminated", func(cmd *exec.Cmd) error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }},
	} {
		for j, after := range []int{1, 10, 60} {
			if !whole && j != i%3 {
				continue
			}
			name := fmt.Sprintf("%s after %d puts", way.name, after)
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				s := server.apart(name)
				m := s.machine(t, c, s.endpoint)
				seen := func() int {
					journals, _ := filepath.Glob(filepath.Join(m.dir, "larder", "sessions", "*", "journal"))
					n := 0
					for _, path := range journals {
						data, _ := os.ReadFile(path)
						n += strings.Count(string(data), "\n+")
					}
					return n
				}
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				args, _ := c.goal(t)
				cmd := m.command(ctx, "go", args...)
				cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
				done := make(chan result, 1)
				wait := m.start(cmd)
				go func() { done <- wait() }()
				m.waitFor(func() bool { return seen() >= after || len(done) > 0 })
				if err := way.stop(cmd); err != nil && !errors.Is(err, os.ErrProcessDone) && !errors.Is(err, syscall.ESRCH) {
					t.Error(err)
				}
				r := <-done
				m.wantGone()
				if strings.Contains(r.stderr, "panic") || strings.Contains(r.stderr, "larder: ") {
					t.Error(r.stderr)
				}
				c.build(m)
				m.must(larder, "flush")
				s.wantWhole(t, m)
				m.wantNoSessions()
				s.wantFull(t, c)
			})
		}
	}
}

// TestFullDisk has larder's folder on a disk of many sizes, all too small.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	c, s := usualChain(t), s3Store(t)
	for _, size := range []string{"size=4k", "size=64k", "size=256k", "size=1m", "size=1m,ro", "size=1m,nr_inodes=40"} {
		t.Run(size, func(t *testing.T) { // one after the other: each fills the store for the next
			disk := t.TempDir()
			mountTmpfs(t, disk, size+",mode=0700")
			m := newMachine(t, c.dir, s.url(s.endpoint), append(s.env, "LARDER_DIR="+disk)...)
			m.dir = disk
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
			defer cancel()
			r := m.await(m.command(ctx, "go", "build", "./p008"))
			native := m.command(ctx, "go", "build", "./p008")
			nativeDisk := t.TempDir()
			mountTmpfs(t, nativeDisk, size)
			native.Env = append(native.Env, "GOCACHEPROG=", "GOCACHE="+nativeDisk)
			text, err := native.CombinedOutput()
			if ctx.Err() != nil {
				t.Fatal("hangs")
			}
			if r.status != 0 && err == nil || strings.Contains(r.stderr, "panic") {
				t.Errorf("the build fails only with larder:\n%s", r.stderr)
			}
			if r.status == 0 && err != nil {
				t.Logf("the build fails only without larder:\n%s", text)
			}
			s.wantWhole(t, m)
		})
	}
}

func mountTmpfs(t *testing.T, dir, options string) {
	t.Helper()
	if err := harness.MountTmpfs(dir, options); err != nil {
		if os.Getenv("CI") != "" && os.Getuid() == 0 {
			t.Fatal(err)
		}
		t.Skipf("cannot mount: %v", err)
	}
	t.Cleanup(func() {
		if err := harness.Unmount(dir); err != nil {
			t.Error(err)
		}
	})
}

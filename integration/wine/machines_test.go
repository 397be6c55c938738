//go:build wine

package wine

import (
	"bytes"
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/larderbuild/larder/cache"
	"github.com/larderbuild/larder/integration/harness"
	"github.com/larderbuild/larder/testserver"
)

// newModule makes a module in dir: a program that prints word in capitals, and a test.
func newModule(t *testing.T, dir, word string) {
	t.Helper()
	if err := writeModule(dir, word); err != nil {
		t.Fatal(err)
	}
}

// stocked returns a machine as newMachine does, whose local tier has the standard library.
func stocked(t *testing.T, dir, remote string, settings ...string) machine {
	t.Helper()
	tier := filepath.Join(t.TempDir(), "local tier")
	if err := os.CopyFS(tier, os.DirFS(stock())); err != nil {
		t.Fatal(err)
	}
	return newMachine(t, dir, remote, append(settings, "LARDER_DIR="+win(tier))...)
}

// build builds the program, which must print want. It returns what larder has counted.
func (m machine) build(want string) cache.Summary {
	m.t.Helper()
	program := filepath.Join(m.t.TempDir(), "hello.exe")
	r := m.goes("build", "-o", win(program), ".")
	m.wantQuiet(r)
	if said := m.run(program); said.stderr != want || said.err != nil {
		m.t.Errorf("the program prints %q, %v; want %q\n%s", said.stderr, said.err, want, r.stderr)
	}
	_, counts, sessions := harness.Counts(r.stderr)
	if sessions == 0 {
		m.t.Errorf("no session of larder's:\n%s", r.stderr)
	}
	return counts
}

// wantQuiet checks that a command of the go command has gone well, and has printed nothing
// but counts and what tests print.
func (m machine) wantQuiet(r result) {
	m.t.Helper()
	rest, counts, _ := harness.Counts(r.stderr)
	if r.err != nil || rest != "" || counts.UploadErrors > 0 || counts.Corrupt > 0 {
		m.t.Errorf("%v, %+v\n%s%s", r.err, counts, r.stdout, r.stderr)
	}
}

// foundAll reports whether a build has found in the remote what can be there. The go command
// asks for the program that it would link, though it never keeps one.
func foundAll(s cache.Summary) bool {
	const programs = 1
	return s.PrefetchHits+s.RemoteHits > 0 && s.Misses <= programs
}

// remotes returns the URLs of remotes, and the settings that they need.
func remotes(t *testing.T) map[string][]string {
	folder := filepath.Join(t.TempDir(), "a remote")
	server := testserver.S3(t)
	server.Bucket(t, "wine")
	return map[string][]string{
		"file": {"file:///" + strings.ReplaceAll("Z:"+folder, " ", "%20")},
		"s3":   append([]string{server.URL("wine", "cache")}, server.Environ()...),
	}
}

// TestTwoMachines has a machine publish what another one then finds, by each way to end a
// session. Without LARDER_CLOSE that is the process in the background.
func TestTwoMachines(t *testing.T) {
	for name, remote := range remotes(t) {
		for _, how := range []string{"wait", "", "defer"} {
			t.Run(name+"/"+cmp.Or(how, "default"), func(t *testing.T) {
				dir := t.TempDir()
				newModule(t, dir, name+how)
				settings := append(slices.Clone(remote[1:]), "LARDER_CLOSE="+how, "LARDER_PROFILE=tests"+how)
				first := stocked(t, dir, remote[0], settings...)
				first.build(strings.ToUpper(name + how))
				if how == "defer" {
					first.flush()
				}
				first.awaitSessions()
				second := newMachine(t, dir, remote[0], settings...)
				if got := second.build(strings.ToUpper(name + how)); !foundAll(got) {
					t.Errorf("the second machine: %+v", got)
				}
				second.awaitSessions()
			})
		}
	}
}

// awaitSessions waits until no session is left in the local tier, be it of a build or of the
// process in the background.
func (m machine) awaitSessions() {
	m.t.Helper()
	var left []os.DirEntry
	for range 600 {
		if left, _ = os.ReadDir(m.sessions()); len(left) == 0 {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	m.t.Errorf("sessions are left: %v", left)
}

// sessions returns the folder of sessions that are not over.
func (m machine) sessions() string { return filepath.Join(unwin(m.tier()), "larder", "sessions") }

// TestTestResult finds the result of a test on another machine. Its key has the path of the
// local tier.
func TestTestResult(t *testing.T) {
	dir := t.TempDir()
	newModule(t, dir, "x")
	remote := "file:///Z:" + filepath.Join(t.TempDir(), "remote")
	m := stocked(t, dir, remote)
	if r := m.goes("test", "./..."); !strings.Contains(r.stdout, "ok  \thello/upper") || strings.Contains(r.stdout, "(cached)") {
		t.Fatalf("%s%s", r.stdout, r.stderr)
	}
	m.flush()
	tier := unwin(m.tier())
	if err := os.Rename(tier, filepath.Join(t.TempDir(), "first")); err != nil {
		t.Fatal(err)
	}
	r := m.goes("test", "./...")
	m.wantQuiet(r)
	if !strings.Contains(r.stdout, "(cached)") {
		t.Errorf("the second machine runs the test again:\n%s%s", r.stdout, r.stderr)
	}
}

// tier returns the setting of LARDER_DIR.
func (m machine) tier() string {
	for _, v := range slices.Backward(m.env) {
		if dir, ok := strings.CutPrefix(v, "LARDER_DIR="); ok {
			return dir
		}
	}
	return ""
}

// unwin is the inverse of win.
func unwin(path string) string {
	return strings.ReplaceAll(strings.TrimPrefix(path, "Z:"), `\`, "/")
}

// TestPaths has spaces in all paths, and paths that are longer than Windows takes without
// being asked to.
func TestPaths(t *testing.T) {
	root := t.TempDir()
	long := filepath.Join(root, strings.Repeat(strings.Repeat("long", 20)+"/", 4))
	for name, at := range map[string]string{"spaces": filepath.Join(root, "some spaces"), "long": long} {
		t.Run(name, func(t *testing.T) {
			dir, exe := filepath.Join(root, "module of "+name), filepath.Join(root, name+" programs", "larder.exe")
			newModule(t, dir, name)
			data, err := os.ReadFile(larderExe)
			if err == nil {
				err = os.MkdirAll(filepath.Dir(exe), 0o755)
			}
			if err == nil {
				err = os.WriteFile(exe, data, 0o755)
			}
			if err != nil {
				t.Fatal(err)
			}
			remote := "file:///Z:" + strings.ReplaceAll(filepath.Join(at, "remote"), " ", "%20")
			settings := []string{"GOCACHEPROG=" + quoted(win(exe)), "LARDER_DIR=" + win(filepath.Join(at, "tier"))}
			first := newMachine(t, dir, remote, settings...)
			if err := os.CopyFS(filepath.Join(at, "tier"), os.DirFS(unwin(stocked(t, dir, "").tier()))); err != nil {
				t.Fatal(err)
			}
			first.build(strings.ToUpper(name))
			if err := os.RemoveAll(filepath.Join(at, "tier")); err != nil {
				t.Fatal(err)
			}
			if got := first.build(strings.ToUpper(name)); !foundAll(got) {
				t.Errorf("with an empty tier: %+v", got)
			}
		})
	}
}

// TestKilled kills the helper in the middle of a build. The next build is right, and nothing
// stays locked.
func TestKilled(t *testing.T) {
	dir := t.TempDir()
	newModule(t, dir, "killed")
	m := newMachine(t, dir, "file:///Z:"+filepath.Join(t.TempDir(), "remote"), "LARDER_CLOSE=linger")
	killed := make(chan int)
	go func() { killed <- killHelper(m.sessions()) }()
	r := m.goes("build", "-o", win(filepath.Join(t.TempDir(), "hello.exe")), ".")
	if pid := <-killed; pid == 0 || r.err == nil {
		t.Fatalf("no helper was killed in the middle of the build: %v\n%s", r.err, r.stderr)
	}
	m.build("KILLED")
	m.flush()
	m.awaitSessions()
}

// killHelper kills the helper once a session of its is in the folder, and returns its process
// ID, or 0 if there was none within a minute.
func killHelper(sessions string) int {
	for range 6000 {
		if found, _ := os.ReadDir(sessions); len(found) > 0 {
			time.Sleep(200 * time.Millisecond) // it is in the middle of its work
			if pid := helper(); pid > 0 && syscall.Kill(pid, syscall.SIGKILL) == nil {
				return pid
			}
		}
		time.Sleep(10 * time.Millisecond)
	}
	return 0
}

// helper returns the process ID of a larder that runs, or 0.
func helper() int {
	lines, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, file := range lines {
		if line, err := os.ReadFile(file); err == nil && bytes.HasPrefix(line, []byte(win(larderExe))) {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(file)))
			return pid
		}
	}
	return 0
}

// TestAtOnce runs eight go commands at once, over one local tier: first each in a module of its
// own, then all in one.
func TestAtOnce(t *testing.T) {
	const commands = 8
	remote := "file:///Z:" + filepath.Join(t.TempDir(), "remote")
	one := stocked(t, "", remote, "LARDER_CLOSE=linger")
	all := make([]machine, commands)
	for i := range all {
		all[i] = one
		all[i].dir = t.TempDir()
		newModule(t, all[i].dir, fmt.Sprint("word ", i))
	}
	one.dir = t.TempDir()
	newModule(t, one.dir, "all")
	t.Run("own", func(t *testing.T) {
		for i, m := range all {
			t.Run(fmt.Sprint(i), func(t *testing.T) {
				t.Parallel()
				m.t = t
				m.build(fmt.Sprint("WORD ", i))
			})
		}
	})
	t.Run("same", func(t *testing.T) {
		for i := range commands {
			t.Run(fmt.Sprint(i), func(t *testing.T) {
				t.Parallel()
				m := one
				m.t = t
				m.build("ALL")
			})
		}
	})
	one.flush()
	log, err := os.ReadFile(filepath.Join(unwin(one.tier()), "larder", "log"))
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(log)) {
		if !strings.Contains(line, "arguments are not read on windows") {
			t.Errorf("larder/log: %s", line)
		}
	}
}

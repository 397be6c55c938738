package integration

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// TestNoDir builds where LARDER_DIR can't be had as it is. The build is right, larder says
// so once, and the next build finds everything on this machine. What is uploaded is
// found by others. Where whole is not set, there is one row for each reason: rights, no
// folder, no space, and a folder that can only be read.
func TestNoDir(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("not root")
	}
	c, s := usualChain(t), s3Store(t)
	s.machine(t, c, s.endpoint).must("go", "build", "runtime") // or each row would compile it
	for name, prepare := range map[string]func(t *testing.T, m *machine){
		"all may write":  func(t *testing.T, m *machine) { do(t, os.Chmod(m.dir, 0o777)) },
		"another user's": func(t *testing.T, m *machine) { do(t, os.Chown(m.dir, 12345, 12345)) },
		"a file": func(t *testing.T, m *machine) {
			do(t, os.Remove(m.dir))
			do(t, os.WriteFile(m.dir, nil, 0o600))
		},
		"no home": func(_ *testing.T, m *machine) {
			gone := []string{"HOME=", "XDG_CACHE_HOME=", "LARDER_DIR="}
			m.env = slices.DeleteFunc(m.env, func(pair string) bool {
				return slices.ContainsFunc(gone, func(name string) bool { return strings.HasPrefix(pair, name) })
			})
			m.env = append(m.env, "GOPATH="+m.dir)
		},
		"no inodes":    func(t *testing.T, m *machine) { mountTmpfs(t, m.dir, "nr_inodes=2,mode=0700") },
		"a small disk": func(t *testing.T, m *machine) { mountTmpfs(t, m.dir, "size=1m,mode=0700") },
		"read-only": func(t *testing.T, m *machine) {
			mountTmpfs(t, m.dir, "mode=0700")
			do(t, os.CopyFS(m.dir, os.DirFS(stocked(t))))
			do(t, syscall.Mount("", m.dir, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""))
		},
	} {
		if !whole && !slices.Contains([]string{"another user's", "no home", "a small disk", "read-only"}, name) {
			continue
		}
		t.Run(name, func(t *testing.T) {
			scope := strings.Map(letters, name)
			scopes := []string{"LARDER_SCOPE=" + scope, "LARDER_READ_SCOPES=" + scope + ",main"}
			m := s.machine(t, c, s.endpoint, append(scopes, "TMPDIR="+t.TempDir())...)
			do(t, os.MkdirAll(m.dir, 0o700))
			do(t, os.RemoveAll(m.dir)) // the stock
			do(t, os.Mkdir(m.dir, 0o700))
			prepare(t, m)
			first := c.buildInTime(m, c.withoutCacheAnd(10*faultBudget))
			switch name {
			case "no home": // there is GOCACHE
				wantQuiet(t, first)
			case "a small disk": // an upload may be under way when it is full, and fail
			default:
				first.wantOneLine(t)
			}
			if name == "read-only" && first.stats.LocalHits == 0 {
				t.Error("nothing was found in the folder that can be read")
			}
			second := c.buildInTime(m, c.withoutCacheAnd(10*faultBudget))
			wantQuiet(t, second)
			if second.stats.Misses > 1 || second.stats.LocalHits == 0 || second.fromRemote() > 1 { // the link's
				t.Errorf("then: %s", second.stats)
			}
			for _, command := range []string{"flush", "prune", "clean"} {
				if r := m.larder(command); r.status != 0 || r.stderr != "" {
					t.Errorf("larder %s: exit status %d\n%s", command, r.status, r.stderr)
				}
			}
			third := c.buildInTime(s.machine(t, c, s.endpoint, scopes...), c.withoutCacheAnd(10*faultBudget))
			if third.fromRemote() == 0 || third.stats.Misses > 1 {
				t.Errorf("on another machine: %s", third.stats)
			}
		})
	}
}

// TestNoDisk has no disk take what the build puts. Before the go command says
// something of its own, larder says in a line what is wrong.
func TestNoDisk(t *testing.T) {
	t.Parallel()
	c := usualChain(t)
	m := newMachine(t, c.dir, "", "GOTMPDIR="+t.TempDir())
	full, temp := filepath.Join(t.TempDir(), "full"), filepath.Join(t.TempDir(), "temp")
	for _, dir := range []string{full, temp} {
		do(t, os.Mkdir(dir, 0o700))
		mountTmpfs(t, dir, "size=64k,mode=0700")
	}
	m.env = append(m.env, "LARDER_DIR="+full, "TMPDIR="+temp)
	r := m.try("go", "build", "./...")
	if n := strings.Count(r.stderr, "larder: what the go command makes can't be stored, "); n != 1 {
		t.Errorf("said %d times, want once:\n%s", n, r.stderr)
	}
	for line := range strings.Lines(r.stderr) {
		if strings.HasPrefix(line, "larder: ") {
			break
		}
		t.Errorf("before larder's line comes %q", line)
	}
}

func do(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

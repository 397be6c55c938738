package integration

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/larderbuild/larder/session"
	"github.com/larderbuild/larder/sign"
)

// asked counts requests by their methods. It is safe for concurrent use.
type asked struct {
	mu    sync.Mutex
	count map[string]int
}

func (a *asked) add(r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.count == nil {
		a.count = make(map[string]int)
	}
	a.count[r.Method]++
}

// wantReads checks that there were requests, and that none of them writes.
func (a *asked) wantReads(t *testing.T) {
	t.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.count[http.MethodGet] == 0 {
		t.Errorf("the remote was not asked for anything: %v", a.count)
	}
	for method, n := range a.count {
		if method != http.MethodGet && method != http.MethodHead {
			t.Errorf("%d requests %s", n, method)
		}
	}
}

// compiled lists the files that the go command compiles. Cgo's are in the cache.
const compiled = "list -compiled -deps -json ./..."

func readOnlyGoals() []goal {
	return []goal{
		{"build", "build ./..."},
		{"build with cgo", "build -o OUT ./cmd/weigh"},
		{"vet", "vet ./..."},
		{"test", "test ./..."},
		{"list exported", "list -export -deps -f {{.ImportPath}}\t{{.BuildID}}\t{{.Export}} ./..."},
		{"list compiled", compiled},
	}
}

// readers are machines that may not write to their remote.
type readers struct {
	pantry
	store
	key *sign.Key // it signs what writers write
}

type readerMode struct{ name, setting, close string }

func newReaders(t *testing.T) readers {
	t.Helper()
	key, err := sign.Generate()
	if err != nil {
		t.Fatal(err)
	}
	return readers{newStockedPantry(t), s3Store(t), key}
}

func (r readers) modes() []readerMode {
	public, _ := r.key.Public()
	return []readerMode{
		{"readonly", "LARDER_READONLY=true", "linger"},
		{"trust without a key", "LARDER_TRUST=" + public, "wait"},
	}
}

// machine returns a machine with nothing, whose requests seen counts.
func (r readers) machine(t *testing.T, mode readerMode, seen *asked) *machine {
	t.Helper()
	endpoint := newGate(t, r.endpoint, seen.add, nil)
	return r.pantry.machine(t, r.url(endpoint), slices.Concat(r.env, []string{mode.setting, "LARDER_CLOSE=" + mode.close})...)
}

// wantReader checks that m wrote nothing and has nothing to write. Its requests are in
// seen.
func wantReader(t *testing.T, m *machine, seen *asked) {
	t.Helper()
	if r := m.larder("flush"); r.status != 0 || strings.Contains(r.stderr, "error: ") {
		t.Errorf("flush: exit status %d\n%s", r.status, r.stderr)
	}
	seen.wantReads(t)
	if n := m.pending(); n != 0 {
		t.Errorf("%d uploads to do", n)
	}
	m.waitFor(func() bool { // the background brings what was lazy
		live, err := session.List(m.dir)
		return err == nil && len(live) == 0 && len(m.journals()) == 0
	})
	m.wantNoSessions()
}

// TestReadOnly checks that a machine that may not write finds all that others have, and
// sends no request that writes.
func TestReadOnly(t *testing.T) {
	t.Parallel()
	r := newReaders(t)
	plain := make(map[string]outcome)
	writer := r.pantry.machine(t, r.url(r.endpoint), slices.Concat(r.env, []string{
		"GOCACHEPROG=", "GOCACHE=" + r.tier, "LARDER_SIGN_KEY=" + r.key.Text(),
	})...)
	for range 2 { // the second time it is cached
		for _, g := range readOnlyGoals() {
			plain[g.name] = writer.look(g)
		}
	}
	writer.must(larder, "save", "--strict")
	filled := contents(t, r.folder)
	for i, mode := range r.modes() {
		for _, g := range readOnlyGoals() {
			// The modes do not differ in what the go command asks for.
			if !whole && i > 0 && g.name != "build" && g.name != "list compiled" {
				continue
			}
			t.Run(mode.name+"/"+g.name, func(t *testing.T) {
				var seen asked
				m := r.machine(t, mode, &seen)
				out := m.look(g, "-x")
				wantSame(t, out, plain[g.name])
				wantNoCompiles(t, out.result)
				if out.fromRemote() == 0 {
					t.Errorf("nothing came from the remote: %s", out.stats)
				}
				wantReader(t, m, &seen)
			})
		}
	}
	wantUnchanged(t, r.folder, filled)
}

// TestReadOnlyAlone checks that a machine that may not write and finds nothing in the
// remote builds, and keeps in its local tier what it has built.
func TestReadOnlyAlone(t *testing.T) {
	t.Parallel()
	r := newReaders(t)
	for i, mode := range r.modes() {
		t.Run(mode.name, func(t *testing.T) {
			goals := readOnlyGoals()
			if i > 0 { // the first goal builds, the others find much of that
				slices.Reverse(goals)
			}
			var seen asked
			m := r.machine(t, mode, &seen)
			out := make(map[string]outcome)
			var puts int64
			for _, g := range goals {
				o := m.look(g)
				if puts += o.stats.Puts; o.fromRemote() != 0 || o.stats.Uploads != 0 || o.stats.UploadErrors != 0 {
					t.Errorf("%s: %+v", g.name, o.stats)
				}
				out[g.name] = o
			}
			if puts == 0 {
				t.Error("nothing was put: this shows nothing")
			}
			wantReader(t, m, &seen)
			if _, err := os.Stat(r.folder); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("the store has something: %v", err)
			}
			// The go command alone makes the same of that cache.
			m.env = append(m.env, "GOCACHEPROG=", "GOCACHE="+r.tier)
			for _, g := range goals {
				wantSame(t, out[g.name].timeless(), m.look(g).timeless())
			}
		})
	}
}

// TestReadOnlyWithAJournal checks that a session that may not write leaves the uploads
// of an earlier session to one that may.
func TestReadOnlyWithAJournal(t *testing.T) {
	t.Parallel()
	c := newChained(t, 5)
	s := s3Store(t)
	var seen asked
	endpoint := newGate(t, s.endpoint, seen.add, nil)
	m := s.machine(t, c, endpoint, "LARDER_CLOSE=linger", "LARDER_LINGER=0")
	c.build(m)
	m.env = append(m.env, "LARDER_READONLY=true")
	left := m.pending()
	if left == 0 {
		t.Fatal("nothing is left: this shows nothing")
	}
	c.change(t, 3)
	c.build(m)
	if r := m.larder("flush"); r.status != 1 || r.stderr == "" {
		t.Errorf("flush: exit status %d\n%s", r.status, r.stderr)
	}
	seen.wantReads(t)
	if n := m.pending(); n != left {
		t.Errorf("%d uploads to do, want %d", n, left)
	}
	m.env = append(m.env, "LARDER_READONLY=false")
	m.must(larder, "flush")
	if entries := s.wantWhole(t, m); entries != left {
		t.Errorf("%d entries of %d uploads", entries, left)
	}
}

// look reaches g. Once the command has ended, look reads the files that it names: the
// outcome has their digests.
func (m *machine) look(g goal, flags ...string) outcome {
	m.t.Helper()
	out := m.reach(g, flags...)
	var err error
	switch {
	case strings.HasPrefix(g.args, "list -export"):
		out.stdout, err = digestLast(out.stdout)
	case g.args == compiled:
		out.stdout, err = digestCompiled(out.stdout)
	}
	if err != nil {
		m.t.Fatalf("go %s: %v", g.args, err)
	}
	return out
}

// digestCompiled returns the files that are compiled in each package of go list's JSON,
// with their digests. It fails if cgo made none of them.
func digestCompiled(packages string) (string, error) {
	var b strings.Builder
	var made int
	for decoder := json.NewDecoder(strings.NewReader(packages)); ; {
		var p struct {
			ImportPath, Dir string
			GoFiles         []string
			CgoFiles        []string
			CompiledGoFiles []string
		}
		err := decoder.Decode(&p)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return "", err
		}
		if len(p.CgoFiles) > 0 && len(p.CompiledGoFiles) <= len(p.CgoFiles) {
			return "", fmt.Errorf("%s: %q compile to %q", p.ImportPath, p.CgoFiles, p.CompiledGoFiles)
		}
		for _, name := range p.CompiledGoFiles {
			path := name
			if filepath.IsAbs(name) {
				made++
				name = "made"
			} else {
				path = filepath.Join(p.Dir, name)
			}
			sum, err := digest(path)
			if err != nil {
				return "", err
			}
			fmt.Fprintf(&b, "%s\t%s\t%x\n", p.ImportPath, name, sum)
		}
	}
	if made == 0 {
		return "", errors.New("cgo made nothing: this shows nothing")
	}
	return b.String(), nil
}

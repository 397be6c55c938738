package integration

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/larderbuild/larder/cache"
	"github.com/larderbuild/larder/entry"
	"github.com/larderbuild/larder/integration/harness"
	"github.com/larderbuild/larder/pack"
	"github.com/larderbuild/larder/protocol"
	"github.com/larderbuild/larder/sign"
)

// poisoned is a chained module whose entries a server holds, signed and in scope main.
// One of its packages has an evil twin.
type poisoned struct {
	*chained
	store
	tier        string // LARDER_DIR
	clean, evil twin

	// fill sets these.
	key     *sign.Key // it has signed what is in the store
	trust   string    // the LARDER_TRUST that accepts key
	filled  string    // what the store holds, as a folder
	healthy map[way]cache.Summary
}

// twin is what the go command makes of the module, as it is or with the evil package.
type twin struct {
	prey, beside archive // of the package that the attacker replaces, and of the one before
	says         string  // what the program prints
}

type archive struct {
	body   []byte
	output protocol.OutputID
}

const (
	prey          = "p005"
	beside        = "p004"
	chainedModule = "example.com/chained"
	victimProfile = "victim" // of the builds
)

// newPoisoned makes a module and its evil twin. The store is empty.
func newPoisoned(t *testing.T) *poisoned {
	t.Helper()
	p := &poisoned{chained: newChained(t, 10), store: s3Store(t), tier: filepath.Join(t.TempDir(), "tier")}
	p.clean = p.compile(t)
	p.changed(t, func() { p.evil = p.compile(t) })
	if p.clean.prey.output == p.evil.prey.output || p.clean.says == p.evil.says {
		t.Fatal("the evil package is the clean one")
	}
	return p
}

// fill makes a machine with key build p and upload all of it. It checks that other
// machines find that, in each way.
func (p *poisoned) fill(t *testing.T, key *sign.Key) {
	t.Helper()
	var isPublic bool
	if p.trust, isPublic = key.Public(); !isPublic {
		p.trust = key.Text()
	}
	p.key, p.filled, p.healthy = key, filepath.Join(t.TempDir(), "filled"), make(map[way]cache.Summary)

	// -o takes archives for what may be copied. Without it this is another command, of
	// which the manifest does not know yet that it reads them.
	p.inPlace = false
	err := os.RemoveAll(p.folder)
	r, _ := p.attempt(t, p.machine(t, p.endpoint, "LARDER_SIGN_KEY="+key.Text()))
	p.inPlace = true
	if r.stderr != "" || r.stats.Uploads < int64(2*p.packages) {
		t.Fatalf("%d uploads\n%s", r.stats.Uploads, r.stderr)
	}
	if err = errors.Join(err, os.Rename(p.folder, p.filled)); err != nil {
		t.Fatal(err)
	}
	p.loosen(t)
	p.embody(t)
	for _, w := range []way{byLookup, bySiblings, eager, lazy} {
		p.reset(t)
		r, program := p.attempt(t, p.machine(t, p.endpoint, "LARDER_READONLY=true", "LARDER_TRUST="+p.trust, w.setting()))
		s := r.stats
		p.healthy[w] = s
		if r.stderr != "" || s.Untrusted+s.Corrupt != 0 || r.fromRemote() < int64(2*p.packages) || !bytes.Equal(program, p.program) {
			t.Fatalf("%s, without any attack: %+v\n%s", w, s, r.stderr)
		}
		if (w == byLookup) != (s.PrefetchHits == 0) || (w == lazy || w == bySiblings) != (s.Lazy > 0) {
			t.Fatalf("that is not %s: %+v", w, s)
		}
	}
}

// embody puts the bodies of packs into entry objects, in place of referrals, as if all had been
// uploaded before it was published. So a victim without a manifest asks for each of them.
func (p *poisoned) embody(t *testing.T) {
	t.Helper()
	a := &attacker{poisoned: p, t: t}
	m := a.manifest()
	for i := range m.Entries {
		e := &m.Entries[i]
		file := filepath.Join(p.filled, filepath.FromSlash(entryKey("main", e.Action)))
		if !e.InPack() || !exists(file) {
			continue
		}
		want := entry.Want{Action: e.Action, Scope: "main", MaxSize: e.Size}
		_, riders, err := entry.ReadFront(bytes.NewReader(readFile(t, file)), want)
		if err != nil {
			t.Fatal(err)
		}
		from := m.Packs[e.Pack]
		objects := pack.NewReader(bytes.NewReader(readFile(t, filepath.Join(p.filled, packKey(from.Scope, from.ID)))), 0)
		object, err := objects.Next(e)
		if err != nil {
			t.Fatal(err)
		}
		want.Framed = true
		packed, err := entry.Open(object, want)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(packed)
		if err != nil {
			t.Fatal(err)
		}
		packed.Close()
		objects.Close()
		h := entry.Header{Action: e.Action, Output: e.Output, BodySize: e.Size, Time: e.Time, Cost: e.Cost}
		embodied := a.encode(h, body, entry.Signer{Key: p.key, Scope: "main"}, riders...)
		if err := errors.Join(os.Remove(file), os.WriteFile(file, embodied, 0o666)); err != nil {
			t.Fatal(err)
		}
	}
}

// changed calls do while the prey has the attacker's source.
func (p *poisoned) changed(t *testing.T, do func()) {
	t.Helper()
	name := filepath.Join(prey, prey+".go")
	text := string(readFile(t, filepath.Join(p.dir, name)))
	write := func(text string) {
		p.write(t, name, text)
		if err := harness.Age(p.dir); err != nil {
			t.Fatal(err)
		}
	}
	write(strings.Replace(text, "len(Text)", "1000 + len(Text)", 1))
	defer write(text)
	do()
}

// compile compiles p's present source without larder.
func (p *poisoned) compile(t *testing.T) (c twin) {
	t.Helper()
	m := &machine{t: t, work: p.dir, env: environ("GOCACHE="+stocked(t), "GOFLAGS=-buildvcs=false")}
	program := filepath.Join(t.TempDir(), "program")
	m.must("go", "build", "-o", program, ".")
	c.says = p.run(t, readFile(t, program))
	files := strings.Fields(m.must("go", "list", "-export", "-f", "{{.Export}}", "./"+beside, "./"+prey).stdout)
	for i, a := range []*archive{&c.beside, &c.prey} {
		a.body = readFile(t, files[i])
		a.output = sha256.Sum256(a.body)
	}
	return c
}

// run returns what program prints.
func (p *poisoned) run(t *testing.T, program []byte) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "program.exe")
	if err := harness.WriteProgram(file, program); err != nil {
		t.Fatal(err)
	}
	m := &machine{t: t, work: p.dir, env: environ()}
	return m.must(file).stderr
}

// reset makes the store what fill left.
func (p *poisoned) reset(t *testing.T) {
	t.Helper()
	if err := mirror(p.filled, p.folder); err != nil {
		t.Fatal(err)
	}
}

// machine returns a machine whose local tier holds the standard library and which
// reaches the store at endpoint. Its tier takes the place of the last machine's.
func (p *poisoned) machine(t *testing.T, endpoint string, settings ...string) *machine {
	t.Helper()
	// The go command makes 256 folders in a new GOCACHE, and then leaves them empty.
	own := p.settings("GOCACHEPROG="+plainLarder(t), "LARDER_DIR="+p.tier, "GOCACHE="+p.tier+"-of-go")
	m := newMachine(t, p.dir, p.url(endpoint), slices.Concat(p.env, own, settings)...)
	m.dir = p.tier
	stock, err := stock()
	if err == nil {
		err = mirror(stock, m.dir)
	}
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// settings returns the settings of all machines that build p, and more.
func (p *poisoned) settings(more ...string) []string {
	return append([]string{"LARDER_SCOPE=main", "LARDER_PROFILE=" + victimProfile}, more...)
}

// mirror makes to a copy of from, of hard links. It does not touch what is right
// already: to make the folders takes longer than a build.
func mirror(from, to string) error {
	err := filepath.WalkDir(to, func(path string, d fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist): // to is new
			return nil
		case err != nil || same(path, filepath.Join(from, strings.TrimPrefix(path, to))):
			return err
		}
		if err = os.RemoveAll(path); err == nil && d.IsDir() {
			return fs.SkipDir
		}
		return err
	})
	if err != nil {
		return err
	}
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		copied := filepath.Join(to, strings.TrimPrefix(path, from))
		switch {
		case err != nil || exists(copied):
			return err
		case d.IsDir():
			return os.MkdirAll(copied, 0o777)
		}
		return os.Link(path, copied)
	})
}

// same reports whether two paths name one file, or both name folders.
func same(path, other string) bool {
	a, err := os.Lstat(path)
	if err != nil {
		return false
	}
	b, err := os.Lstat(other)
	return err == nil && (a.IsDir() && b.IsDir() || os.SameFile(a, b))
}

// attempt makes m build p, however that ends. The program may be nil.
func (p *poisoned) attempt(t *testing.T, m *machine) (r result, program []byte) {
	t.Helper()
	args, out := p.goal(t)
	ctx, cancel := context.WithTimeout(t.Context(), p.withoutCacheAnd(faultBudget))
	defer cancel()
	r = m.counted(m.command(ctx, "go", args...))
	if ctx.Err() != nil {
		t.Fatalf("the build hung\n%s", r.stderr)
	}
	program, err := os.ReadFile(out)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return r, program
}

// counted runs cmd, however that ends, and adds up its stats.
func (m *machine) counted(cmd *exec.Cmd) (r result) {
	m.t.Helper()
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	start := time.Now()
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		r.status = exit.ExitCode()
	case err != nil:
		m.t.Fatalf("%v: %v", cmd.Args, err)
	}
	r.took = time.Since(start)
	for line := range strings.Lines(stderr.String()) {
		var s cache.Summary
		if !strings.HasPrefix(line, `{"gets":`) || json.Unmarshal([]byte(line), &s) != nil {
			r.stderr += line
			continue
		}
		r.stats = r.stats.Plus(s)
	}
	return r
}

// holds reports whether m's local tier has a body.
func (m *machine) holds(output protocol.OutputID) bool {
	id := output.String()
	return exists(filepath.Join(m.dir, id[:2], id+"-d"))
}

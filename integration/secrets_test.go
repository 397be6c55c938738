package integration

import (
	"bytes"
	"crypto/rand"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/larderbuild/larder/integration/harness"
	"github.com/larderbuild/larder/localdisk"
	"github.com/larderbuild/larder/protocol"
)

// vault is a module with tests that print secrets and tests that do not. The secrets
// are new each time.
type vault struct {
	work   string
	token  string // a text that is secret by the name of its variable
	letter string // a private key in a variable whose name says nothing
	plain  string // a text that is not secret, in a package and in a test's output
}

// The tests of these packages print a secret. Those of sealed and stamped do so in
// every environment: the secret is in the source of the one and in the linker's flags
// for the other.
const (
	told    = "vault.example/told"
	shown   = "vault.example/shown"
	sealed  = "vault.example/sealed"
	stamped = "vault.example/stamped"
)

func newVault(t *testing.T) vault {
	t.Helper()
	key := make([]byte, 300)
	rand.Read(key)
	v := vault{
		work:   t.TempDir(),
		token:  "t&<" + rand.Text(), // which JSON and HTML write in another way
		letter: string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})),
		plain:  "nothing to hide: " + rand.Text(),
	}
	const prints = "package %s\n\nimport (\n\t\"fmt\"\n\t\"os\"\n\t\"testing\"\n)\n\nvar _ = os.Getenv\n\nfunc TestPrint(t *testing.T) { fmt.Println(%s) }\n"
	for name, test := range map[string]struct{ source, prints string }{
		"told":    {"", `os.Getenv("DEPLOY_TOKEN")`},
		"shown":   {"", `os.Getenv("LETTER")`},
		"sealed":  {fmt.Sprintf("const Token = %q", v.token), "Token"},
		"stamped": {"var Mark string", "Mark"},
		"plain":   {fmt.Sprintf("const Text = %q", v.plain), "Text"},
		"other":   {"", `"as harmless"`},
	} {
		v.write(t, filepath.Join(name, name+".go"), "package "+name+"\n\n"+test.source+"\n")
		v.write(t, filepath.Join(name, name+"_test.go"), fmt.Sprintf(prints, name, test.prints))
	}
	v.write(t, "go.mod", "module vault.example\n\ngo 1.26\n")
	return v
}

func (v vault) write(t *testing.T, name, text string) { (&chained{dir: v.work}).write(t, name, text) }

// machine returns a machine whose local tier begins with the standard library.
func (v vault) machine(t *testing.T, s store, settings ...string) *machine {
	t.Helper()
	m := newMachine(t, v.work, s.url(s.endpoint), slices.Concat(s.env, settings)...)
	if err := harness.Lend(m.dir, wideStock(t, "")...); err != nil {
		t.Fatal(err)
	}
	return m
}

// confided returns the variables that have the secrets.
func (v vault) confided() []string { return []string{"DEPLOY_TOKEN=" + v.token, "LETTER=" + v.letter} }

// vaultRun is how the module's tests went.
type vaultRun struct {
	result
	said string // all of stderr
}

// test runs v's tests on m, with extra in their environment.
func (v vault) test(t *testing.T, m *machine, extra ...string) vaultRun {
	t.Helper()
	return v.run(t, m, extra, "go", "test", "-v", "-ldflags=-X="+stamped+".Mark="+v.token, "./...")
}

// run runs a command, with extra in its environment. It fails the test unless the
// command succeeds and has none of v's secrets on stderr.
func (v vault) run(t *testing.T, m *machine, extra []string, name string, args ...string) vaultRun {
	t.Helper()
	cmd := m.command(t.Context(), name, args...)
	cmd.Env = slices.Concat(cmd.Env, extra)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	start := time.Now()
	r := vaultRun{m.outcome(cmd, cmd.Run(), start, &stdout, &stderr), stderr.String()}
	if r.status != 0 {
		t.Fatalf("%s: exit status %d\n%s%s", name, r.status, r.stdout, r.said)
	}
	v.search(t, "stderr of "+name, stderr.Bytes())
	return r
}

// withheld reports whether the stats say that entries were withheld.
func (r vaultRun) withheld() (found bool) {
	return regexp.MustCompile(`(?m)^\{"gets":.*"withheld":[1-9]`).MatchString(r.said)
}

// cached returns the packages whose tests did not run.
func (r vaultRun) cached() (packages []string) {
	for _, match := range regexp.MustCompile(`(?m)^ok  \t(\S+)\t\(cached\)$`).FindAllStringSubmatch(r.stdout, -1) {
		packages = append(packages, match[1])
	}
	slices.Sort(packages)
	return packages
}

// timeless returns what the tests printed, and not how long they took.
func (r vaultRun) timeless() string {
	return regexp.MustCompile(`\(cached\)|\(?[0-9.]+s\)?`).ReplaceAllString(r.stdout, "(time)")
}

// TestSecrets checks that a build that was given secrets shares all that it makes and
// that has no secret in it, and nothing else. A later build without the secrets in its
// environment does not share the rest either.
func TestSecrets(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"wait", "linger"} {
		if !whole && mode == "wait" {
			continue // linger does all that wait does, and then lingers
		}
		t.Run(mode, func(t *testing.T) { testSecrets(t, mode) })
	}
}

func testSecrets(t *testing.T, mode string) {
	s, v := s3Store(t), newVault(t)
	settings := []string{"LARDER_LOG=debug", "LARDER_CLOSE=" + mode}
	flush := func(m *machine) {
		t.Helper()
		if mode == "linger" {
			v.run(t, m, nil, larder, "flush")
		}
		if n := m.pending(); n != 0 {
			t.Errorf("%d uploads to do", n)
		}
	}

	m := v.machine(t, s, settings...)
	// Uploads that linger get no time: a flush without the secrets has to do them all.
	first := v.test(t, m, append(v.confided(), "LARDER_LINGER=0")...)
	if !first.withheld() {
		t.Errorf("nothing was withheld, by the stats:\n%s", first.said)
	}
	for _, rule := range []string{"value of DEPLOY_TOKEN", "private key"} {
		if !regexp.MustCompile(`(?m)^larder: an entry stays local, .*\(` + rule + `\) \(action=[0-9a-f]{64}\)$`).MatchString(first.said) {
			t.Errorf("stderr does not name %q and the action", rule)
		}
	}
	flush(m)
	held := m.held()
	if len(held) < 4 {
		t.Errorf("%d entries are withheld", len(held))
	}
	had := v.searchStore(t, s.folder)
	had.wantFound(t, "a", "p", "m")
	had.wantNone(t, held)
	had.wantAllBut(t, m, held)
	v.searchState(t, m.dir)

	another := v.machine(t, s, settings...)
	second := v.test(t, another, v.confided()...)
	flush(another)
	v.searchState(t, another.dir)
	if got := second.cached(); !slices.Equal(got, []string{"vault.example/other", "vault.example/plain"}) || second.fromRemote() == 0 {
		t.Errorf("another machine has the results of %q; %s", got, second.stats)
	}
	if diff := firstDifference(second.timeless(), first.timeless()); diff != "" {
		t.Errorf("another machine: %s", diff)
	}

	// A session without the secrets finds the results that do not depend on them.
	manifest := had.manifests
	later := v.test(t, m)
	flush(m)
	if got := later.cached(); !slices.Equal(got, []string{"vault.example/other", "vault.example/plain", sealed, stamped}) {
		t.Errorf("a later session has the results of %q", got)
	}
	if strings.Count(later.stdout, v.token) != 2 {
		t.Errorf("a later session prints\n%s", later.stdout)
	}
	had = v.searchStore(t, s.folder)
	if slices.Equal(had.manifests, manifest) {
		t.Error("a later session published nothing: this shows nothing")
	}
	had.wantNone(t, held)
	had.wantAllBut(t, m, m.held())
	v.searchState(t, m.dir)

	v.testSave(t, m, s, held)
}

// testSave saves a copy of m's cache that has no notes of what is secret.
func (v vault) testSave(t *testing.T, m *machine, s store, held map[protocol.ActionID]bool) {
	t.Helper()
	native := newNative(t, v.work, strings.Replace(s.url(s.endpoint), "/fix?", "/saved?", 1), slices.Concat(s.env, []string{"LARDER_LOG=debug"})...)
	if err := os.CopyFS(native.dir, os.DirFS(m.dir)); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(native.dir, "larder")); err != nil {
		t.Fatal(err)
	}
	r := v.run(t, native, v.confided(), larder, "save", "--strict")
	if !strings.Contains(r.said, "value of DEPLOY_TOKEN") {
		t.Errorf("save says\n%s", r.said)
	}
	saved := v.searchStore(t, filepath.Join(filepath.Dir(s.folder), "saved"))
	saved.wantFound(t, "p", "m")
	saved.wantNone(t, held)
	v.searchState(t, native.dir)
}

// held returns the actions whose entries m withholds.
func (m *machine) held() map[protocol.ActionID]bool {
	m.t.Helper()
	found := make(map[protocol.ActionID]bool)
	files, err := os.ReadDir(filepath.Join(m.dir, "larder", "withheld"))
	if err != nil {
		m.t.Error(err)
	}
	for _, f := range files {
		found[actionID(m.t, f.Name())] = true
		mark := string(readFile(m.t, filepath.Join(m.dir, "larder", "withheld", f.Name())))
		if !strings.HasSuffix(mark, " value of DEPLOY_TOKEN\n") && !strings.HasSuffix(mark, " private key\n") {
			m.t.Errorf("%s is withheld for something else: %s", f.Name(), mark)
		}
	}
	return found
}

// wantAllBut checks that what m has made and does not withhold is in p as entry objects.
// Indexes of modules never are, and nothing of the stock is.
func (p shared) wantAllBut(t *testing.T, m *machine, held map[protocol.ActionID]bool) {
	t.Helper()
	local, stock := localdisk.New(m.dir), wideStock(t, "")
	var harmless int
	walkFiles(t, m.dir, func(path string) {
		name, isAction := strings.CutSuffix(filepath.Base(path), "-a")
		lent := func(stock string) bool { return exists(filepath.Join(stock, strings.TrimPrefix(path, m.dir))) }
		if !isAction || len(name) != 64 || slices.ContainsFunc(stock, lent) {
			return
		}
		action := actionID(t, name)
		_, body, err := local.Get(action)
		if err != nil {
			t.Error(err)
			return
		}
		if held[action] || bytes.HasPrefix(readFile(t, body), []byte("go index v")) {
			return
		}
		harmless++
		if !p.objects[action] {
			t.Errorf("%s was not uploaded", action)
		}
	})
	if harmless == 0 {
		t.Error("m has nothing that is harmless: this shows nothing")
	}
}

// TestSecretsOfWhoMayNotWrite checks that a session that uploads nothing notes what is
// secret. A later session that uploads does not know the secrets.
func TestSecretsOfWhoMayNotWrite(t *testing.T) {
	t.Parallel()
	s, v := s3Store(t), newVault(t)
	m := v.machine(t, s)
	v.test(t, m, append(v.confided(), "LARDER_READONLY=true")...)
	v.test(t, m) // without the secrets
	v.searchStore(t, s.folder)
}

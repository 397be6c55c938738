package integration

import (
	"crypto/md5"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/backend/open"
	"github.com/larderbuild/larder/testserver"
)

// roles is a real server with two users, the roles of a team: one for reviewed code and
// one for pull requests. Their policies in testdata/iam are for AWS, too, and docs/trust.md
// has the same text.
type roles struct {
	main, pr store
}

func newRoles(t *testing.T) roles {
	t.Helper()
	server := testserver.S3WithIAM(t)
	server.Bucket(t, "my-bucket")
	role := func(name string) store {
		return store{
			endpoint: server.Endpoint,
			url: func(endpoint string) string {
				at := server
				at.Endpoint = endpoint
				return at.URL("my-bucket", "go-cache")
			},
			env:    server.User(t, name+"-role", string(readFile(t, "testdata/iam/s3-"+name+".json"))),
			folder: filepath.Join(server.Dir, "my-bucket", "go-cache", "v1"),
		}
	}
	return roles{main: role("main"), pr: role("pr")}
}

// TestPagePolicies checks that the page has the policies that the other tests use.
func TestPagePolicies(t *testing.T) {
	page := string(readFile(t, filepath.Join("..", "docs", "trust.md")))
	for _, name := range []string{"main", "pr"} {
		file := filepath.Join("testdata", "iam", "s3-"+name+".json")
		if !strings.Contains(page, "```json\n"+string(readFile(t, file))+"```\n") {
			t.Errorf("docs/trust.md does not have %s", file)
		}
	}
}

// TestRolePolicies checks what the server lets each role do, without larder's engine.
func TestRolePolicies(t *testing.T) {
	t.Parallel()
	both := newRoles(t)
	const (
		get  = "get"
		put  = "put"
		drop = "delete"
		list = "list"
	)
	for _, test := range []struct {
		op, key  string
		main, pr error
	}{
		{put, "v1/main/a/00/object", nil, backend.ErrDenied},
		{put, "v1/main/m/module/profile", nil, backend.ErrDenied},
		{put, "v1/pr-7/a/00/object", backend.ErrDenied, nil},
		{put, "v1/pr-7/m/module/profile", backend.ErrDenied, nil},
		{put, "v1/branch-x/a/00/object", backend.ErrDenied, backend.ErrDenied},
		{put, "v1/main", backend.ErrDenied, backend.ErrDenied},
		{put, "v1/pr-7", backend.ErrDenied, backend.ErrDenied},
		{put, "v2/pr-7/a/00/object", backend.ErrDenied, backend.ErrDenied},
		{get, "v1/main/a/00/object", nil, nil},
		{get, "v1/main/a/00/nothing", backend.ErrNotFound, backend.ErrNotFound},
		{get, "v1/pr-7/a/00/object", backend.ErrDenied, nil},
		{get, "v1/pr-7/a/00/nothing", backend.ErrDenied, backend.ErrNotFound},
		{get, "v2/pr-7/a/00/object", backend.ErrDenied, backend.ErrDenied},
		{list, "v1/", nil, nil},
		{drop, "v1/main/a/00/object", backend.ErrDenied, backend.ErrDenied},
		{drop, "v1/pr-7/a/00/object", backend.ErrDenied, backend.ErrDenied},
	} {
		for name, role := range map[string]struct {
			store
			want error
		}{"main": {both.main, test.main}, "pr": {both.pr, test.pr}} {
			t.Run(test.op+" "+test.key+" as "+name, func(t *testing.T) {
				s := role.open(t)
				var err error
				switch test.op {
				case put:
					_, err = s.Put(t.Context(), test.key, strings.NewReader("x"), backend.PutOptions{Size: 1, MD5: md5.Sum([]byte("x"))})
				case drop:
					err = s.Delete(t.Context(), test.key, "")
				case list:
					for _, err = range s.List(t.Context(), test.key) {
					}
				case get:
					body, _, errGet := s.Get(t.Context(), test.key, backend.Range{})
					if err = errGet; err == nil {
						body.Close()
					}
				}
				if !errors.Is(err, role.want) {
					t.Errorf("got %v, want %v", err, role.want)
				}
			})
		}
	}
}

// open opens s with larder's driver and the credentials of s.
func (s store) open(t *testing.T) backend.Store {
	t.Helper()
	environment.Lock()
	defer environment.Unlock()
	for _, pair := range s.env {
		name, value, _ := strings.Cut(pair, "=")
		before, had := os.LookupEnv(name)
		os.Setenv(name, value)
		defer func() {
			if had {
				os.Setenv(name, before)
			} else {
				os.Unsetenv(name)
			}
		}()
	}
	opened, err := open.Store(t.Context(), s.url(s.endpoint))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { opened.Close() })
	return opened
}

// environment guards the variables of this process that a driver reads while it opens a
// store. Commands that tests start do not have them: see environ.
var environment sync.Mutex

// TestRoles fills scope main from a protected branch. Pull requests build on that.
func TestRoles(t *testing.T) {
	t.Parallel()
	const packages = 12
	c := newChained(t, packages)
	c.inPlace = true
	both := newRoles(t)
	folder := func(scope string) string { return filepath.Join(both.main.folder, scope) }

	r := c.buildWith(t, both.main, "main")
	if r.stats.Uploads < 2*packages || len(r.compiles()) < packages {
		t.Fatalf("main: %d compiles, %+v", len(r.compiles()), r.stats)
	}
	main := contents(t, folder("main"))

	r = c.buildWith(t, both.pr, "pr-7")
	if n := len(r.compiles()); n != 0 || r.fromRemote() < 2*packages {
		t.Errorf("pr-7, unchanged: %d compiles, %+v", n, r.stats)
	}
	if objects := both.pr.objects(t, "pr-7"); len(objects) > 0 {
		t.Errorf("pr-7, unchanged: it has %d objects of its own", len(objects))
	}

	// Only the last package and the program depend on it.
	const changed = 2
	c.change(t, packages-2)
	r = c.buildWith(t, both.pr, "pr-7")
	if n := len(r.compiles()); n != changed || r.stats.Uploads == 0 || r.fromRemote() < 2*(packages-changed) {
		t.Errorf("pr-7, changed: %d compiles, want %d; %+v", n, changed, r.stats)
	}
	own, uploads := both.pr.objects(t, "pr-7"), r.stats.Uploads
	if int64(len(own)) != r.stats.Objects {
		t.Errorf("pr-7 has %d objects, and %d were put", len(own), r.stats.Objects)
	}
	for name := range both.main.objects(t, "main") {
		if own[name] {
			t.Errorf("pr-7 has %s, and so has main", name)
		}
	}

	// A machine in pr-7 finds in pr-7 what main lacks, and the rest in main.
	r = c.buildWith(t, both.pr, "pr-7")
	if n := len(r.compiles()); n != 0 || r.stats.Uploads != 0 {
		t.Errorf("pr-7, another machine: %d compiles, %+v", n, r.stats)
	}
	before := contents(t, folder("pr-7"))
	r = c.buildWith(t, both.pr, "pr-8")
	if n := len(r.compiles()); n != changed || r.fromRemote() < 2*(packages-changed) {
		t.Errorf("pr-8: %d compiles, want %d; %+v", n, changed, r.stats)
	}
	if got := both.pr.objects(t, "pr-8"); len(got) == 0 || r.stats.Uploads != uploads {
		t.Errorf("pr-8 has %d objects with %d entries, and pr-7 has %d entries", len(got), r.stats.Uploads, uploads)
	}
	wantUnchanged(t, folder("pr-7"), before)
	wantUnchanged(t, folder("main"), main)
	if scopes := names(t, both.main.folder); !slices.Equal(scopes, []string{"main", "pr-7", "pr-8"}) {
		t.Errorf("the scopes are %q", scopes)
	}
}

// TestRoleOfAnotherScope gives scope main to a machine with a pull request's role. The
// server refuses what it writes, and the build succeeds.
func TestRoleOfAnotherScope(t *testing.T) {
	t.Parallel()
	const packages = 12
	c := newChained(t, packages)
	c.inPlace = true
	both := newRoles(t)
	c.buildWith(t, both.main, "main")
	c.change(t, packages-2)

	for _, mode := range []string{"wait", "linger"} {
		t.Run(mode, func(t *testing.T) {
			before := contents(t, both.main.folder)
			var refused, accepted atomic.Int64
			endpoint := newGate(t, both.pr.endpoint, nil, func(r *http.Response) error {
				switch {
				case r.Request.Method == http.MethodGet:
				case r.StatusCode == http.StatusForbidden:
					refused.Add(1)
				default:
					accepted.Add(1)
				}
				return nil
			})
			m := c.newStocked(t, both.pr.url(endpoint), append(both.pr.env, "LARDER_SCOPE=main", "LARDER_CLOSE="+mode)...)
			r := c.build(m)
			if mode == "wait" {
				r.wantOneLine(t)
				if r.stats.UploadErrors == 0 {
					t.Errorf("%+v", r.stats)
				}
			} else if r.stderr != "" { // nothing was to be written yet
				t.Errorf("stderr:\n%s", r.stderr)
			}
			if r.stats.Uploads != 0 || r.fromRemote() < 2*(packages-2) {
				t.Errorf("%+v", r.stats)
			}
			if r := m.larder("flush"); r.status != 1 || r.stderr == "" {
				t.Errorf("flush: exit status %d\n%s", r.status, r.stderr)
			}
			if refused.Load() == 0 || accepted.Load() != 0 {
				t.Errorf("%d writes were refused, and %d were not", refused.Load(), accepted.Load())
			}
			wantUnchanged(t, both.main.folder, before)
			if m.pending() == 0 {
				t.Error("what could not be uploaded was forgotten")
			}
		})
	}
}

// buildWith builds c on a machine that has s's role, and the standard library alone. It
// checks that the program is right and that larder says nothing.
func (c *chained) buildWith(t *testing.T, s store, scope string) result {
	t.Helper()
	m := c.newStocked(t, s.url(s.endpoint), append(s.env[:len(s.env):len(s.env)], "LARDER_SCOPE="+scope)...)
	args, program := c.goal(t)
	r := m.must("go", slices.Insert(args, 1, "-x")...)
	c.check(t, program)
	wantQuiet(t, r)
	return r
}

// change changes one package of c, and with it c's program.
func (c *chained) change(t *testing.T, i int) {
	t.Helper()
	name := fmt.Sprintf("p%03d", i)
	file := filepath.Join(name, name+".go")
	c.write(t, file, string(readFile(t, filepath.Join(c.dir, file)))+"\nfunc init() { println(len(Text)) }\n")
	c.makeAlone(t)
}

// objects returns the names of the entry objects in a scope of s.
func (s store) objects(t *testing.T, scope string) map[string]bool {
	t.Helper()
	found := make(map[string]bool)
	for path := range contents(t, filepath.Join(s.folder, scope, "a")) {
		found[filepath.Base(path)] = true
	}
	return found
}

// contents returns the digest and time of each file under dir. It returns nothing where
// there is no such folder.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	found := make(map[string]string)
	if _, err := os.Stat(dir); errors.Is(err, os.ErrNotExist) {
		return found
	}
	walkFiles(t, dir, func(path string) {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		found[path] = fmt.Sprintf("%x since %v", sha256.Sum256(readFile(t, path)), info.ModTime())
	})
	return found
}

func wantUnchanged(t *testing.T, dir string, before map[string]string) {
	t.Helper()
	if len(before) == 0 {
		t.Errorf("%s was empty: this shows nothing", dir)
	}
	after := contents(t, dir)
	var changed []string
	for path, what := range after {
		if before[path] != what {
			changed = append(changed, path+" was written")
		}
	}
	for path := range before {
		if after[path] == "" {
			changed = append(changed, path+" is gone")
		}
	}
	if len(changed) > 0 {
		t.Errorf("%d changes: %s, and so on", len(changed), changed[0])
	}
}

// names returns the names of what is in dir, sorted.
func names(t *testing.T, dir string) (found []string) {
	t.Helper()
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		found = append(found, f.Name())
	}
	return found
}

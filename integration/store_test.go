package integration

import (
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/larderbuild/larder/testserver"
)

// Refs whose jobs tests of GitHub Actions run.
const (
	mainRef = "refs/heads/main"
	pullRef = "refs/pull/7/merge"
)

// store is a real server that is filled by a healthy machine.
type store struct {
	endpoint string
	url      func(endpoint string) string
	env      []string
	folder   string // holds the objects as files; "" where they are not

	// apart returns an empty store of the same server that shares nothing with this
	// one or with those of other names. Only S3 has it.
	apart func(name string) store
}

func s3Store(t testing.TB) store {
	t.Helper()
	server := testserver.S3(t)
	server.Bucket(t, "bucket")
	return s3StoreAt(server, "pre/fix")
}

// s3StoreAt returns the store under a prefix of server's bucket.
func s3StoreAt(server testserver.S3Server, prefix string) store {
	return store{
		endpoint: server.Endpoint,
		url: func(endpoint string) string {
			at := server
			at.Endpoint = endpoint
			return at.URL("bucket", prefix)
		},
		env:    server.Environ(),
		folder: filepath.Join(server.Dir, "bucket", filepath.FromSlash(prefix)),
		apart: func(name string) store {
			return s3StoreAt(server, "apart/"+strings.Map(letters, name))
		},
	}
}

// letters maps what is no letter or digit to a hyphen.
func letters(r rune) rune {
	if unicode.IsLetter(r) || unicode.IsDigit(r) {
		return r
	}
	return '-'
}

func gcsStore(t testing.TB) store {
	t.Helper()
	server := testserver.GCS(t)
	server.Bucket(t, "bucket")
	return store{endpoint: server.Endpoint, url: func(endpoint string) string {
		at := server
		at.Endpoint = endpoint
		return at.URL("bucket", "pre/fix")
	}}
}

func azureStore(t testing.TB) store {
	t.Helper()
	server := testserver.Azure(t)
	server.Container(t, "container")
	return store{endpoint: server.Endpoint, env: server.Environ(), url: func(endpoint string) string {
		at := server
		at.Endpoint = endpoint
		return at.URL("container", "pre/fix")
	}}
}

func redisStore(t testing.TB) store {
	t.Helper()
	return store{endpoint: "http://" + testserver.Redis(t), url: func(endpoint string) string {
		return "redis://" + strings.TrimPrefix(endpoint, "http://") + "/1?prefix=team:"
	}}
}

// serveStore is larder serve in front of a directory.
func serveStore(t testing.TB) store {
	t.Helper()
	folder := filepath.Join(t.TempDir(), "served")
	return store{endpoint: larderServe(t, "http", "--store", fileURL(folder)), url: func(endpoint string) string { return endpoint }, folder: folder}
}

// callsStore is larder serve as a cache of the Remote Execution API.
func callsStore(t testing.TB) store {
	t.Helper()
	s := serveStore(t)
	s.url = func(endpoint string) string { return "grpc" + strings.TrimPrefix(endpoint, "http") + "/team" }
	return s
}

// nginxStore is nginx, whose WebDAV module takes PUT.
func nginxStore(t testing.TB) store {
	t.Helper()
	var folder string
	addr := testserver.Nginx(t, "http", func(port int, dir string) string {
		folder = filepath.Join(dir, "objects")
		return fmt.Sprintf("server { listen 127.0.0.1:%d; root %s; client_max_body_size 0; dav_methods PUT; create_full_put_path on; }", port, folder)
	})
	return store{endpoint: "http://" + addr, url: func(endpoint string) string { return endpoint + "/team" }, folder: folder}
}

// bazelRemoteStore is bazel-remote, a cache of the Remote Execution API.
func bazelRemoteStore(t testing.TB) store {
	t.Helper()
	return store{endpoint: "http://" + testserver.BazelRemote(t), url: func(endpoint string) string {
		return "grpc://" + strings.TrimPrefix(endpoint, "http://") + "/team"
	}}
}

// larderServe starts larder serve with flags, and returns its URL. scheme is what it speaks.
func larderServe(t testing.TB, scheme string, flags ...string) string {
	t.Helper()
	return testserver.Start(t, scheme, larder, func(port int) []string {
		return append([]string{"serve", listenAt(port)}, flags...)
	})
}

// listenAt returns the flag that has larder serve listen at a port of this machine.
func listenAt(port int) string { return fmt.Sprintf("--listen=127.0.0.1:%d", port) }

// forLarder returns s with credentials that larder has for itself, and no other program.
func (s store) forLarder() store {
	s.env = slices.Clone(s.env)
	for i := range s.env {
		s.env[i] = "LARDER_" + s.env[i]
	}
	return s
}

// clouds returns a store of each cloud, by name. Azure's is there if whole is set: its
// driver has tests of its own for what goes wrong.
func clouds(t testing.TB) map[string]store {
	t.Helper()
	stores := map[string]store{"s3": s3Store(t), "gcs": gcsStore(t)}
	if whole {
		stores["azure"] = azureStore(t)
	}
	return stores
}

// machine returns a stocked machine that reaches s at endpoint.
func (s store) machine(t *testing.T, c *chained, endpoint string, settings ...string) *machine {
	t.Helper()
	return c.newStocked(t, s.url(endpoint), append(s.env[:len(s.env):len(s.env)], settings...)...)
}

// fill has a healthy machine build c.
func (s store) fill(t *testing.T, c *chained) {
	t.Helper()
	r := c.build(s.machine(t, c, s.endpoint))
	if r.stderr != "" || r.stats.Uploads < int64(2*c.packages) {
		t.Fatalf("%d uploads\n%s", r.stats.Uploads, r.stderr)
	}
}

// wantFull checks that another healthy machine finds all of c in s, intact.
func (s store) wantFull(t *testing.T, c *chained) {
	t.Helper()
	r := c.build(s.machine(t, c, s.endpoint))
	// What can't hit is the link, since the go command keeps programs to
	// itself, and the main module's index, since larder does.
	if r.stderr != "" || r.stats.Misses > int64(c.packages+1) || r.fromRemote() < int64(2*c.packages) || r.stats.Corrupt != 0 {
		t.Errorf("another machine: %+v\n%s", r.stats, r.stderr)
	}
}

// wantCaughtUp checks that m, whose remote is well again, uploads what it could not,
// so that another machine finds all of c in s.
func (s store) wantCaughtUp(t *testing.T, c *chained, m *machine) {
	t.Helper()
	if r := m.larder("flush"); r.status != 0 {
		t.Errorf("flush: exit status %d\n%s", r.status, r.stderr)
	}
	s.wantFull(t, c)
}

// walkFiles calls visit with the path of every file under dir.
func walkFiles(t testing.TB, dir string, visit func(path string)) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			visit(path)
		}
		return err
	})
	if err != nil {
		t.Fatal(fmt.Errorf("walk %s: %w", dir, err))
	}
}

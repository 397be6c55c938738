package integration

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/larderbuild/larder/testserver"
)

const (
	// faultBudget is LARDER_BUDGET where the remote is faulty.
	faultBudget = 2 * time.Second

	// hopeless is LARDER_TIMEOUT where the remote hangs: so long that a build
	// which waited for it, instead of minding its budget, would show.
	hopeless = time.Minute
)

// withoutCacheAnd is how long a build of c may take that loses d to its
// remote: as long as without a cache and d. The rest is for machines that are
// busy with something else, and far below hopeless.
func (c *chained) withoutCacheAnd(d time.Duration) time.Duration {
	return 5*c.took + d + 20*time.Second
}

// wantOneLine checks that the only thing said on stderr is one line of
// larder's.
func (r result) wantOneLine(t *testing.T) {
	t.Helper()
	if strings.Count(r.stderr, "\n") != 1 || !strings.HasPrefix(r.stderr, "larder: ") {
		t.Errorf("want one line of larder's on stderr, got:\n%s", r.stderr)
	}
}

// buildInTime builds c on m, and fails if that takes longer than limit.
func (c *chained) buildInTime(m *machine, limit time.Duration) result {
	m.t.Helper()
	ctx, cancel := context.WithTimeout(m.t.Context(), limit)
	defer cancel()
	args, out := c.goal(m.t)
	r := m.await(m.command(ctx, "go", args...))
	switch {
	case ctx.Err() != nil:
		m.t.Fatalf("the build took longer than %v; it takes %v without larder", limit, c.took)
	case r.status != 0:
		m.t.Fatalf("the build failed:\n%s", r.stderr)
	}
	c.check(m.t, out)
	return r
}

// store is a real server that is filled by a healthy machine.
type store struct {
	endpoint string
	url      func(endpoint string) string
	env      []string
	folder   string // holds the objects as files; "" where they are not
}

func s3Store(t testing.TB) store {
	t.Helper()
	server := testserver.S3(t)
	server.Bucket(t, "bucket")
	return store{
		endpoint: server.Endpoint,
		url: func(endpoint string) string {
			at := server
			at.Endpoint = endpoint
			return at.URL("bucket", "pre/fix")
		},
		env:    server.Environ(),
		folder: filepath.Join(server.Dir, "bucket", "pre", "fix"),
	}
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

// TestFaultyLink has everything between larder and a server go wrong. The
// build is right, says so once, and is no slower than the budget allows; once
// the link is well again, what could not be uploaded is.
func TestFaultyLink(t *testing.T) {
	c := newChained(t, 20)
	for name, s := range map[string]store{"s3": s3Store(t), "gcs": gcsStore(t)} {
		s.fill(t, c)
		for fault, cause := range map[string]func(*testserver.Link){
			"down":        (*testserver.Link).Down,
			"hang":        (*testserver.Link).Hang,
			"reset":       (*testserver.Link).Reset,
			"cut headers": func(l *testserver.Link) { l.Cut(20) },
			"cut bodies":  func(l *testserver.Link) { l.Cut(3000) },
		} {
			t.Run(name+"/"+fault, func(t *testing.T) {
				link := testserver.Proxy(t, s.endpoint)
				cause(link)
				m := s.machine(t, c, link.Endpoint, "LARDER_CLOSE=linger",
					"LARDER_BUDGET="+faultBudget.String(), "LARDER_TIMEOUT="+hopeless.String())
				r := c.buildInTime(m, c.withoutCacheAnd(faultBudget))
				r.wantOneLine(t)
				if r.fromRemote() != 0 || r.stats.Corrupt != 0 {
					t.Errorf("a remote that gives nothing gave something: %+v", r.stats)
				}
				link.Heal()
				if r := m.larder("flush"); r.status != 0 {
					t.Errorf("flush: exit status %d\n%s", r.status, r.stderr)
				}
				s.wantFull(t, c)
			})
		}
	}
}

// TestSlowLink: what is slow, but worth it, is used in silence; what is not is
// given up, with a line.
func TestSlowLink(t *testing.T) {
	c := newChained(t, 20)
	s := s3Store(t)
	s.fill(t, c)
	link := testserver.Proxy(t, s.endpoint)
	link.Latency(200 * time.Millisecond)

	patient := c.build(s.machine(t, c, link.Endpoint, "LARDER_BUDGET=5m"))
	if patient.stderr != "" || patient.fromRemote() < int64(c.packages) {
		t.Errorf("a slow remote within the budget: %+v\n%s", patient.stats, patient.stderr)
	}
	// Enough for the manifest, and not for what it promises: that is given up
	// for those who wait for it, and found by those who ask when it is there.
	const budget = 250 * time.Millisecond
	m := s.machine(t, c, link.Endpoint, "LARDER_BUDGET="+budget.String(), "LARDER_CLOSE=linger")
	r := c.buildInTime(m, c.withoutCacheAnd(budget))
	r.wantOneLine(t)
	if r.stats.Misses < 2 { // the link, and whoever waited
		t.Errorf("lookups went on beyond the budget: %+v", r.stats)
	}
}

// TestPacksThatDoNotCome: the manifest promises what then comes by the drop, or
// not at all. The build waits for the budget, and builds.
func TestPacksThatDoNotCome(t *testing.T) {
	c := newChained(t, 20)
	s := s3Store(t)
	s.fill(t, c)
	const budget = time.Second
	for name, interval := range map[string]time.Duration{"1 KB a second": time.Second, "nothing": time.Hour} {
		t.Run(name, func(t *testing.T) {
			endpoint := newGate(t, s.endpoint, nil, func(r *http.Response) error {
				if strings.Contains(r.Request.URL.Path, "/p/") {
					r.Body = &trickle{r.Body, r.Request.Context(), interval}
				}
				return nil
			})
			m := s.machine(t, c, endpoint, "LARDER_BUDGET="+budget.String(), "LARDER_CLOSE=linger")
			r := c.buildInTime(m, c.withoutCacheAnd(budget))
			r.wantOneLine(t)
			if r.stats.Misses < 10 {
				t.Errorf("packs that do not come gave hits: %+v", r.stats)
			}
		})
	}
}

// trickle is a body of which 1 KB comes after each interval.
type trickle struct {
	io.ReadCloser
	ctx      context.Context
	interval time.Duration
}

func (r *trickle) Read(b []byte) (int, error) {
	select {
	case <-time.After(r.interval):
		return r.ReadCloser.Read(b[:min(len(b), 1000)])
	case <-r.ctx.Done():
		return 0, r.ctx.Err()
	}
}

// TestHangWhileWaiting: LARDER_CLOSE=wait ends at its timeout.
func TestHangWhileWaiting(t *testing.T) {
	c := newChained(t, 10)
	s := s3Store(t)
	link := testserver.Proxy(t, s.endpoint)
	link.Hang()
	const wait = time.Second
	m := s.machine(t, c, link.Endpoint, "LARDER_CLOSE_TIMEOUT="+wait.String(),
		"LARDER_BUDGET="+faultBudget.String(), "LARDER_TIMEOUT="+hopeless.String())
	r := c.buildInTime(m, c.withoutCacheAnd(faultBudget+wait))
	r.wantOneLine(t)
	if r.stats.Uploads != 0 {
		t.Errorf("%d uploads", r.stats.Uploads)
	}
	link.Heal()
	if r := m.larder("flush"); r.status != 0 {
		t.Errorf("flush: exit status %d\n%s", r.status, r.stderr)
	}
	s.wantFull(t, c)
}

// TestTimeouts: lookups that end by the budget and uploads that end by their
// timeout are one trouble, and one line.
func TestTimeouts(t *testing.T) {
	c := newChained(t, 10)
	s := s3Store(t)
	link := testserver.Proxy(t, s.endpoint)
	link.Hang()
	m := s.machine(t, c, link.Endpoint, "LARDER_BUDGET=500ms", "LARDER_TIMEOUT=300ms")
	r := c.buildInTime(m, c.withoutCacheAnd(time.Minute))
	r.wantOneLine(t)
	if r.stats.UploadErrors == 0 {
		t.Errorf("no upload ended by its timeout: %+v", r.stats)
	}
	link.Heal()
	if r := m.larder("flush"); r.status != 0 {
		t.Errorf("flush: exit status %d\n%s", r.status, r.stderr)
	}
	s.wantFull(t, c)
}

// TestRefusedCredentials: a key that the server does not know, and none.
func TestRefusedCredentials(t *testing.T) {
	c := newChained(t, 10)
	s := s3Store(t)
	for name, env := range map[string][]string{
		"wrong": {"AWS_ACCESS_KEY_ID=larder-test", "AWS_SECRET_ACCESS_KEY=wrong"},
		"none":  {"AWS_ACCESS_KEY_ID=", "AWS_SECRET_ACCESS_KEY=", "HOME=" + t.TempDir(), "AWS_EC2_METADATA_DISABLED=true"},
	} {
		t.Run(name, func(t *testing.T) {
			m := s.machine(t, c, s.endpoint, append(env, "LARDER_BUDGET="+faultBudget.String(), goPath(t))...)
			r := c.buildInTime(m, c.withoutCacheAnd(faultBudget))
			r.wantOneLine(t)
			// Those under way at once, of reading and of writing; no more.
			if r.stats.RemoteRequests > 20 {
				t.Errorf("%d requests to a server that refuses", r.stats.RemoteRequests)
			}
			m.env = append(m.env, s.env...)
			if r := m.larder("flush"); r.status != 0 {
				t.Errorf("flush: exit status %d\n%s", r.status, r.stderr)
			}
			s.wantFull(t, c)
			if err := os.RemoveAll(s.folder); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// goPath returns GOPATH as a setting, for machines without the usual HOME.
func goPath(t *testing.T) string {
	t.Helper()
	if dir := os.Getenv("GOPATH"); dir != "" {
		return "GOPATH=" + dir
	}
	home, err := os.UserHomeDir()
	if err != nil {
		t.Fatal(err)
	}
	return "GOPATH=" + filepath.Join(home, "go")
}

// TestMisbehavingServer has a server that answers, but never as one should.
// What a sound server does is shown by the real ones.
func TestMisbehavingServer(t *testing.T) {
	c := newChained(t, 10)
	for name, handler := range map[string]http.HandlerFunc{
		"500": status(http.StatusInternalServerError),
		"503": status(http.StatusServiceUnavailable),
		"429": status(http.StatusTooManyRequests),
		"a login page": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			io.WriteString(w, "<!doctype html><title>Welcome to our guest network</title>")
		},
		"a way to a login page": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/login", http.StatusFound)
		},
		"nothing in full length": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100000")
		},
		"zeros for ever": func(w http.ResponseWriter, r *http.Request) {
			if r.Method != http.MethodGet {
				w.WriteHeader(http.StatusInternalServerError)
				return
			}
			for zeros := make([]byte, 32<<10); r.Context().Err() == nil; {
				w.Write(zeros)
			}
		},
		"a header and no more": func(w http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body)
			w.Header().Set("Content-Length", "100000")
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		},
	} {
		for scheme, query := range map[string]string{"s3": "&region=us-east-1&path_style=true", "gs": ""} {
			t.Run(scheme+"/"+name, func(t *testing.T) {
				server := httptest.NewServer(handler)
				t.Cleanup(server.Close)
				t.Cleanup(server.CloseClientConnections)
				m := c.newStocked(t, scheme+"://bucket/?endpoint="+server.URL+query,
					"AWS_ACCESS_KEY_ID=x", "AWS_SECRET_ACCESS_KEY=y", "LARDER_CLOSE_TIMEOUT=1s",
					"LARDER_LINGER=1s", "LARDER_BUDGET="+faultBudget.String(), "LARDER_TIMEOUT=5s")
				r := c.buildInTime(m, c.withoutCacheAnd(faultBudget+time.Second))
				r.wantOneLine(t)
				if r.fromRemote() != 0 {
					t.Errorf("%+v", r.stats)
				}
			})
		}
	}
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

// TestDamagedObjects damages every object in the store. None of it reaches the
// build, and the build's own puts repair it.
func TestDamagedObjects(t *testing.T) {
	c := newChained(t, 20)
	s := s3Store(t)
	s.fill(t, c)
	for name, damage := range map[string]func([]byte) []byte{
		"a byte of the header": func(b []byte) []byte { b[5] ^= 1; return b },
		"a byte of the body":   func(b []byte) []byte { b[len(b)-5] ^= 1; return b },
		"the last byte gone":   func(b []byte) []byte { return b[:len(b)-1] },
		"half gone":            func(b []byte) []byte { return b[:len(b)/2] },
		"empty":                func([]byte) []byte { return nil },
		"something behind":     func(b []byte) []byte { return append(b, 0) },
		"not ours":             func(b []byte) []byte { return []byte("#!/bin/sh\n") },
	} {
		t.Run(name, func(t *testing.T) {
			walkFiles(t, s.folder, func(path string) {
				if err := os.WriteFile(path, damage(readFile(t, path)), 0o666); err != nil {
					t.Fatal(err)
				}
			})
			r := c.build(s.machine(t, c, s.endpoint))
			r.wantOneLine(t)
			// Where the archive is damaged, nothing more is asked for its
			// package; and the manifest counts.
			if r.fromRemote() != 0 || r.stats.Corrupt < int64(c.packages) || r.stats.Corrupt > int64(c.packages)+1 {
				t.Errorf("%+v", r.stats)
			}
			s.wantFull(t, c)
		})
	}
}

// TestDamagingLink damages every object on its way.
func TestDamagingLink(t *testing.T) {
	c := newChained(t, 20)
	s := s3Store(t)
	s.fill(t, c)
	endpoint := newGate(t, s.endpoint, nil, func(r *http.Response) error {
		if r.Request.Method != http.MethodGet || r.StatusCode != http.StatusOK {
			return nil
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return err
		}
		body[len(body)/2] ^= 0x10
		r.Body = io.NopCloser(bytes.NewReader(body))
		return nil
	})
	r := c.build(s.machine(t, c, endpoint))
	r.wantOneLine(t)
	if r.fromRemote() != 0 || r.stats.Corrupt != int64(c.packages)+1 { // and the manifest
		t.Errorf("%+v", r.stats)
	}
	s.wantFull(t, c)
}

// TestNothingButAnswersOnStdout replays a build's requests to larder itself,
// and reads all that it says.
func TestNothingButAnswersOnStdout(t *testing.T) {
	c := newChained(t, 10)
	s := s3Store(t)
	record := filepath.Join(t.TempDir(), "record")
	c.build(s.machine(t, c, s.endpoint, "LARDER_RECORD="+record))
	requests := readFile(t, record)
	down := testserver.Proxy(t, s.endpoint)
	down.Down()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		settings []string
		input    []byte
	}{
		"well":             {nil, requests},
		"down":             {[]string{"LARDER_REMOTE=" + s.url(down.Endpoint)}, requests},
		"wrong remote":     {[]string{"LARDER_REMOTE=ftp://x"}, requests},
		"wrong everything": {[]string{"LARDER_REMOTE=?", "LARDER_CLOSE=x", "LARDER_BUDGET=x", "LARDER_DIR=x"}, requests},
		"no directory":     {[]string{"LARDER_DIR=" + file}, requests},
		"all logged":       {[]string{"LARDER_LOG=debug", "LARDER_STATS=1"}, requests},
		"no record":        {[]string{"LARDER_RECORD=" + file + "/x"}, requests},
		"no patience":      {[]string{"LARDER_BUDGET=0"}, requests},
		"cut":              {nil, requests[:len(requests)-len(requests)/3]},
		"no input":         {nil, nil},
		"no JSON":          {nil, []byte("GET / HTTP/1.0\n\n")},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			m := newMachine(t, c.dir, s.url(s.endpoint), append(s.env, test.settings...)...)
			cmd := m.command(ctx, larder)
			cmd.Stdin = bytes.NewReader(test.input)
			r := m.await(cmd)
			if r.status != 0 || strings.Contains(r.stderr, "panic") {
				t.Errorf("exit status %d\n%s", r.status, r.stderr)
			}
			wantAnswers(t, r.stdout)
		})
	}
}

func wantAnswers(t *testing.T, stdout string) {
	t.Helper()
	decoder := json.NewDecoder(strings.NewReader(stdout))
	decoder.DisallowUnknownFields()
	for n := 0; ; n++ {
		var answer struct {
			ID            int64
			KnownCommands []string
			Err, DiskPath string
			Miss          bool
			OutputID      []byte
			Size          int64
			Time          *time.Time
		}
		switch err := decoder.Decode(&answer); {
		case err == io.EOF && n > 0:
			return
		case err != nil:
			t.Fatalf("answer %d: %v", n, err)
		case (n == 0) != (len(answer.KnownCommands) > 0):
			t.Errorf("answer %d: %+v", n, answer)
		}
	}
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

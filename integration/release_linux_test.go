package integration

import (
	"archive/tar"
	"compress/gzip"
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/larderbuild/larder/testserver"
)

// release writes an archive of larder to a folder as the page of releases has it, and returns
// the archive's path and a server of that page.
func release(t *testing.T) (archive string, page *httptest.Server) {
	t.Helper()
	folder := t.TempDir()
	program, err := os.ReadFile(plainLarder(t))
	if err == nil {
		err = os.MkdirAll(filepath.Join(folder, "download", "v1.2.3"), 0o777)
	}
	if err != nil {
		t.Fatal(err)
	}
	name := fmt.Sprintf("larder_1.2.3_%s_%s.tar.gz", runtime.GOOS, runtime.GOARCH)
	archive = filepath.Join(folder, "download", "v1.2.3", name)
	file, err := os.Create(archive)
	if err != nil {
		t.Fatal(err)
	}
	zip := gzip.NewWriter(file)
	w := tar.NewWriter(zip)
	err = w.WriteHeader(&tar.Header{Name: "larder", Mode: 0o755, Size: int64(len(program))})
	if err == nil {
		_, err = w.Write(program)
	}
	for _, c := range []interface{ Close() error }{w, zip, file} {
		if errClose := c.Close(); err == nil {
			err = errClose
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(archive)
	if err == nil {
		sums := fmt.Sprintf("%064d  larder_1.2.3_plan9_arm.tar.gz\n%x  %s\n", 0, sha256.Sum256(content), name)
		err = os.WriteFile(filepath.Join(filepath.Dir(archive), "larder_1.2.3_checksums.txt"), []byte(sums), 0o666)
	}
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/", http.FileServer(http.Dir(folder)))
	mux.HandleFunc("/latest", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/tag/v1.2.3", http.StatusFound)
	})
	page = httptest.NewServer(mux)
	t.Cleanup(page.Close)
	return archive, page
}

// bare returns a job that gets larder from page, and has no Go.
func bare(t *testing.T, server *testserver.ActionsServer, page string, settings ...string) *job {
	t.Helper()
	j := newJob(t, pantry{work: t.TempDir()}, server, mainRef, server.Token(mainRef), settings...)
	j.action = slices.DeleteFunc(j.action, func(v string) bool { return strings.HasPrefix(v, "LARDER_BIN=") })
	j.action = append(j.action, "LARDER_RELEASES="+page, "PATH="+withoutGo(t))
	return j
}

// withoutGo returns a PATH that has node, tar and gzip, and no go.
func withoutGo(t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	for _, name := range []string{"node", "tar", "gzip"} {
		path, err := exec.LookPath(name)
		if err == nil {
			err = os.Symlink(path, filepath.Join(folder, name))
		}
		if err != nil {
			t.Skip(err)
		}
	}
	return folder
}

// TestRelease: the action gets larder from a release, once for each machine that keeps its
// tools, and uses none whose checksum is wrong.
func TestRelease(t *testing.T) {
	server := testserver.Actions(t)
	archive, page := release(t)
	tools := "RUNNER_TOOL_CACHE=" + t.TempDir()
	for _, version := range []string{"latest", "v1.2.3"} {
		j := bare(t, server, page.URL, tools)
		j.begin("version=" + version)
		if out := j.must(j.given["GOCACHEPROG"], "version"); !strings.HasPrefix(out.stdout, "larder ") {
			t.Errorf("%s: %q\n%s", version, out.stdout, j.said)
		}
	}

	if err := os.WriteFile(archive, []byte("something else"), 0o666); err != nil {
		t.Fatal(err)
	}
	kept := bare(t, server, page.URL, tools)
	if kept.begin("version=v1.2.3"); kept.given["GOCACHEPROG"] == "" {
		t.Errorf("a machine that has the program does without: %s", kept.said)
	}
	for version, want := range map[string]string{"v1.2.3": "has checksum", "v9.9.9": "404"} {
		j := bare(t, server, page.URL)
		j.begin("version=" + version)
		j.finish()
		if _, given := j.given["GOCACHEPROG"]; given || !strings.Contains(j.said, want) || !strings.Contains(j.said, "::warning::larder: builds go on without it") {
			t.Errorf("%s: handed on %v, said %s", version, j.given, j.said)
		}
	}
}

// TestActionSettings: what the action hands on, and what it says where it does nothing.
func TestActionSettings(t *testing.T) {
	server := testserver.Actions(t)
	token := server.Token(mainRef)
	for _, test := range []struct {
		name     string
		settings []string // of the workflow and of GitHub
		inputs   []string
		want     []string // handed on, among others; "X=": not handed on, or empty
		said     string
		status   int
	}{
		{
			name: "the usual",
			want: []string{"GOCACHEPROG=" + plainLarder(t), "LARDER_REMOTE=gha://", "LARDER_CLOSE=defer", "LARDER_ACTIONS_RUNTIME_TOKEN=" + token, "LARDER_READONLY=", "LARDER_DIR=", "ACTIONS_RUNTIME_TOKEN="},
			said: "builds use gha://",
		},
		{
			name: "another store", inputs: []string{"remote=s3://bucket/prefix?region=eu-west-1", "scope=special"},
			want: []string{"LARDER_REMOTE=s3://bucket/prefix?region=eu-west-1", "LARDER_SCOPE=special", "LARDER_ACTIONS_RUNTIME_TOKEN="},
			said: "builds use s3://bucket/prefix\n",
		},
		{
			name: "another store, of the workflow", settings: []string{"LARDER_REMOTE=s3://bucket"},
			want: []string{"LARDER_REMOTE=s3://bucket"}, said: "builds use s3://bucket",
		},
		{
			name: "a part of the cache service", inputs: []string{"remote=gha:///team"},
			want: []string{"LARDER_REMOTE=gha:///team", "LARDER_ACTIONS_RUNTIME_TOKEN=" + token}, said: "builds use gha:///team",
		},
		{name: "read-only", inputs: []string{"mode=read-only"}, want: []string{"LARDER_READONLY=true"}, said: "builds use"},
		{name: "off", inputs: []string{"mode=off"}, want: []string{"GOCACHEPROG="}, said: "larder: off"},
		{
			name: "a wrong mode", inputs: []string{"mode=readonly"}, want: []string{"GOCACHEPROG="}, status: 1,
			said: `::error::larder: mode is "readonly": want one of read-write, read-only, off`,
		},
		{
			name: "GitHub Enterprise Server", settings: []string{"GITHUB_SERVER_URL=https://github.example.com"},
			want: []string{"GOCACHEPROG=" + plainLarder(t), "LARDER_REMOTE=", "LARDER_ACTIONS_RUNTIME_TOKEN="},
			said: "github.example.com has no cache service",
		},
		{name: "a job that may only read", settings: []string{"ACTIONS_CACHE_MODE=read"}, want: []string{"LARDER_READONLY=true", "LARDER_REMOTE=gha://"}, said: "builds use"},
		{name: "a job without a cache", settings: []string{"ACTIONS_CACHE_MODE=none"}, want: []string{"LARDER_REMOTE="}, said: "cache mode is none"},
		{
			name: "a machine of several repositories", settings: []string{"RUNNER_ENVIRONMENT=self-hosted", "RUNNER_TOOL_CACHE=/tools"},
			want: []string{"LARDER_DIR=/tools/larder-cache/pantry/pantry"}, said: "builds use",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			j := newJob(t, pantry{work: t.TempDir()}, server, mainRef, token, test.settings...)
			if status := j.tryStep("start.js", test.inputs...); status != test.status {
				t.Errorf("exit status %d, want %d", status, test.status)
			}
			for _, want := range test.want {
				name, value, _ := strings.Cut(want, "=")
				if got := j.given[name]; got != value {
					t.Errorf("%s is %q, want %q", name, got, value)
				}
			}
			if !strings.Contains(j.said, test.said) || strings.Count(strings.ReplaceAll(j.said, "::add-mask::", ""), "larder:") > 2 {
				t.Errorf("said\n%s", j.said)
			}
		})
	}
}

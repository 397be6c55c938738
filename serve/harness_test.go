package serve_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/larderbuild/larder/api"
	"github.com/larderbuild/larder/backend/dir"
	"github.com/larderbuild/larder/serve"
)

// kitchen is a server in front of a directory, and what requests have shown of it.
type kitchen struct {
	t      *testing.T
	curl   string
	root   string // of the store
	server *httptest.Server
	values map[string]string // ETags that rows have noted
}

const hmacKey = "a key for signatures"

// everybody lets all do all.
var everybody = serve.NewAccess(&serve.Rules{Anonymous: serve.Rights{Write: []string{"*"}}}, slog.New(slog.DiscardHandler))

// config returns that of a server in front of the directory root, where everybody may do everything.
func config(t *testing.T, root string) serve.Config {
	t.Helper()
	store, err := dir.Open(t.Context(), dir.Config{Dir: root})
	if err != nil {
		t.Fatal(err)
	}
	return serve.Config{
		Store: store, Access: everybody, MaxObject: 100_000, Requests: 100, Progress: time.Minute,
		TempDir: t.TempDir(), Log: slog.New(slog.DiscardHandler),
	}
}

// open starts a server. When the test ends, no temporary file may be left.
func open(t *testing.T, change func(*serve.Config)) *kitchen {
	t.Helper()
	curl, err := exec.LookPath("curl")
	if err != nil {
		if ci := os.Getenv("CI"); ci != "" && ci != "false" {
			t.Fatalf("%v: install Debian's package curl", err)
		}
		t.Skipf("%v: install Debian's package curl", err)
	}
	root := t.TempDir()
	cfg := config(t, root)
	if change != nil {
		change(&cfg)
	}
	k := &kitchen{t, curl, root, httptest.NewServer(serve.New(cfg)), map[string]string{}}
	t.Cleanup(func() {
		k.server.Close()
		if left := files(t, cfg.TempDir); len(left) > 0 {
			t.Errorf("temporary files that are left: %q", slices.Collect(maps.Keys(left)))
		}
	})
	return k
}

// files returns the files below root by their names, without the store's lock.
func files(t *testing.T, root string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || entry.Name() == "@lock" {
			return err
		}
		data, err := os.ReadFile(path)
		name, _ := filepath.Rel(root, path)
		all[filepath.ToSlash(name)] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// changes returns what is new (+), gone (-) or different (~) between two results of files.
func changes(before, after map[string]string) string {
	var all []string
	for name, data := range after {
		if old, ok := before[name]; !ok {
			all = append(all, "+"+name)
		} else if old != data {
			all = append(all, "~"+name)
		}
	}
	for name := range before {
		if _, ok := after[name]; !ok {
			all = append(all, "-"+name)
		}
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

// row is a request that curl sends, and what has to come of it. In its texts {md5:x},
// {sha256:x} and {hmac:x} stand for digests of x, and {x*n} for n times x.
type row struct {
	name    string
	request string   // method and path
	with    []string // headers, and curl's options, which begin with a hyphen
	body    string   // is sent unless it is empty; {} stands for the empty body
	status  int
	has     []string // headers of the answer; "X:" means that it has no X, "X: >v" that {v} is its value from now on
	gives   string   // the body of an answer with a status below 300, and a part of another
	effect  string   // which files of the store have changed, as by changes
}

var (
	placeholder = regexp.MustCompile(`\{(md5|sha256|hmac):([^}]*)\}`)
	repetition  = regexp.MustCompile(`\{([^*{}]+)\*([0-9]+)\}`)
)

// expand replaces what stands for something.
func (k *kitchen) expand(s string) string {
	s = repetition.ReplaceAllStringFunc(s, func(found string) string {
		m, n := repetition.FindStringSubmatch(found), 0
		fmt.Sscan(m[2], &n)
		return strings.Repeat(m[1], n)
	})
	s = placeholder.ReplaceAllStringFunc(s, func(found string) string {
		m := placeholder.FindStringSubmatch(found)
		switch m[1] {
		case "md5":
			return md5Of(m[2])
		case "hmac":
			mac := hmac.New(sha256.New, []byte(hmacKey))
			mac.Write([]byte(m[2]))
			return fmt.Sprintf("%x", mac.Sum(nil))
		}
		return sha256Of(m[2])
	})
	for name, value := range k.values {
		s = strings.ReplaceAll(s, "{"+name+"}", value)
	}
	return strings.TrimSuffix(s, "{}")
}

func md5Of(body string) string {
	sum := md5.Sum([]byte(body))
	return base64.StdEncoding.EncodeToString(sum[:])
}

func sha256Of(body string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(body))) }

// answer is what curl has got.
type answer struct {
	status int
	header http.Header
	body   string
	exit   int // curl's
}

// send has curl send a request, with a body or, after an @, that in a file.
func (k *kitchen) send(request string, with []string, body string) answer {
	k.t.Helper()
	method, path, _ := strings.Cut(k.expand(request), " ")
	folder := k.t.TempDir()
	headerFile, bodyFile := filepath.Join(folder, "header"), filepath.Join(folder, "body")
	args := []string{"-q", "--silent", "--noproxy", "*", "--path-as-is", "--globoff", "--http1.1", "-D", headerFile, "-o", bodyFile, "-w", "%{http_code}"}
	if method == "HEAD" {
		args = append(args, "--head")
	} else {
		args = append(args, "-X", method)
	}
	if strings.HasPrefix(body, "@") {
		args = append(args, "--data-binary", body)
	} else if body != "" {
		sent := filepath.Join(folder, "sent")
		if err := os.WriteFile(sent, []byte(k.expand(body)), 0o600); err != nil {
			k.t.Fatal(err)
		}
		args = append(args, "--data-binary", "@"+sent)
	}
	for _, w := range with {
		if !strings.HasPrefix(w, "-") {
			args = append(args, "-H")
		}
		args = append(args, k.expand(w))
	}
	cmd := exec.CommandContext(k.t.Context(), k.curl, append(args, k.server.URL+path)...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + folder}
	out, err := cmd.Output()
	a := answer{exit: cmd.ProcessState.ExitCode()}
	if a.exit < 0 {
		k.t.Fatal(err)
	}
	fmt.Sscan(string(out), &a.status)
	headers, _ := os.ReadFile(headerFile) // empty without an answer
	data, _ := os.ReadFile(bodyFile)
	a.header, a.body = lastHeader(string(headers)), string(data)
	return a
}

// lastHeader returns the header of the last answer in what curl has written.
func lastHeader(text string) http.Header {
	h := http.Header{}
	for line := range strings.SplitSeq(text, "\r\n") {
		if strings.HasPrefix(line, "HTTP/") {
			h = http.Header{}
		} else if name, value, ok := strings.Cut(line, ":"); ok {
			h.Add(name, strings.TrimSpace(value))
		}
	}
	return h
}

// run sends the requests of rows, one after the other.
func (k *kitchen) run(rows []row) {
	outer := k.t
	defer func() { k.t = outer }()
	before := files(outer, k.root)
	for _, r := range rows {
		outer.Run(r.name, func(t *testing.T) {
			k.t = t
			a := k.send(r.request, r.with, r.body)
			k.check(r, a)
			after := files(t, k.root)
			if got, want := changes(before, after), k.expand(r.effect); got != want {
				t.Errorf("files have changed: %q, want %q", got, want)
			}
			before = after
		})
	}
}

// check compares an answer with what r says.
func (k *kitchen) check(r row, a answer) {
	t := k.t
	t.Helper()
	if a.exit != 0 {
		t.Errorf("curl exits with %d", a.exit)
	}
	if a.status != r.status {
		t.Fatalf("status %d, want %d: %s", a.status, r.status, a.body)
	}
	if got := a.header[api.Header]; !slices.Equal(got, []string{api.Number}) {
		t.Errorf("%s: %q", api.Header, got)
	}
	for _, line := range r.has {
		name, want, _ := strings.Cut(k.expand(line), ":")
		got := strings.Join(a.header.Values(name), ", ")
		want = strings.TrimSpace(want)
		if saved, ok := strings.CutPrefix(want, ">"); ok {
			k.values[saved] = got
			want = got
			if got == "" {
				t.Errorf("no %s", name)
			}
		}
		if got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	switch want := k.expand(r.gives); {
	case strings.HasPrefix(r.request, "HEAD "), r.status == http.StatusNoContent, r.status == http.StatusNotModified:
		if a.body != "" && !strings.HasPrefix(a.body, "HTTP/") { // curl writes a header of HEAD as if it were the body
			t.Errorf("body: %q, want none", a.body)
		}
	case r.status < 300:
		if a.body != want {
			t.Errorf("body: %.200q (%d bytes), want %.200q (%d bytes)", a.body, len(a.body), want, len(want))
		}
	case !strings.Contains(a.body, want), a.body == "" && want != "":
		t.Errorf("body: %q, want %q in it", a.body, want)
	}
}

// put stores a body, as part of a test about something else.
func (k *kitchen) put(path, body string) answer {
	k.t.Helper()
	a := k.send("PUT "+path, []string{"Content-MD5: " + md5Of(body)}, cmpEmpty(body))
	if a.exit != 0 || a.status >= 300 {
		k.t.Fatalf("PUT %s: %d, curl %d: %s", path, a.status, a.exit, a.body)
	}
	return a
}

func cmpEmpty(body string) string {
	if body == "" {
		return "{}"
	}
	return body
}

// noise returns bytes that don't compress and are the same each time.
func noise(n int) []byte {
	var all bytes.Buffer
	for i := 0; all.Len() < n; i++ {
		sum := sha256.Sum256(fmt.Append(nil, i))
		all.Write(sum[:])
	}
	return all.Bytes()[:n]
}

// shortly is how long servers wait that are to give up.
const shortly = 200 * time.Millisecond
